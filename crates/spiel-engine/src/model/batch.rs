//! A packed micro-batch, checked: tokens of several sequences in a row, without padding.

use crate::error::{Result, invalid};
use crate::protocol::{BatchShape, IGNORE};
use spiel_kernels::ops::attention::Span;

/// A micro-batch, or the next tokens of a generation.
pub(crate) struct Batch {
    /// T tokens.
    pub(crate) tokens: Vec<u32>,
    /// The position of each token in its sequence.
    pub(crate) positions: Vec<u32>,
    /// The sequences.
    pub(crate) spans: Vec<Span>,
    /// Rows that have a target.
    pub(crate) rows: Vec<u32>,
    /// The token to predict after each of those rows.
    pub(crate) targets: Vec<u32>,
}

impl Batch {
    /// Takes a request's payload apart.
    ///
    /// # Errors
    /// When sizes disagree, sequences are empty or a token is outside the vocabulary.
    pub(crate) fn parse(
        shape: BatchShape,
        payload: &[u8],
        vocab: u32,
        capacity: usize,
    ) -> Result<Self> {
        let (tokens, sequences) = (shape.tokens as usize, shape.sequences as usize);
        if sequences == 0 || sequences > tokens || tokens > capacity {
            return Err(invalid!(
                "Micro-batch of {tokens} tokens in {sequences} sequences: expected 1 to {capacity} tokens, no fewer than sequences"
            ));
        }
        let words: Vec<u32> = payload
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        if payload.len() != (2 * tokens + sequences + 1) * 4 {
            return Err(invalid!(
                "Micro-batch payload has {} bytes, expected {}",
                payload.len(),
                (2 * tokens + sequences + 1) * 4
            ));
        }
        let (ids, rest) = words.split_at(tokens);
        let (targets, ends) = rest.split_at(tokens);
        for (what, list) in [("token", ids), ("target", targets)] {
            let bad = list.iter().position(|id| *id >= vocab && (what == "token" || *id != IGNORE));
            if let Some(place) = bad {
                return Err(invalid!(
                    "Micro-batch {what} {place} is {}, expected below {vocab}",
                    list[place]
                ));
            }
        }
        if ends[0] != 0
            || ends[sequences] as usize != tokens
            || ends.windows(2).any(|pair| pair[0] >= pair[1])
        {
            return Err(invalid!("Micro-batch cu_seqlens must rise from 0 to {tokens}"));
        }
        let spans = ends.windows(2).map(|pair| {
            let (start, length) = (pair[0] as usize, (pair[1] - pair[0]) as usize);
            Span { query_start: start, query_length: length, key_start: start, key_length: length }
        });
        let rows = (0..tokens as u32).filter(|row| targets[*row as usize] != IGNORE);
        Ok(Self {
            tokens: ids.to_vec(),
            positions: ends.windows(2).flat_map(|pair| 0..pair[1] - pair[0]).collect(),
            spans: spans.collect(),
            rows: rows.collect(),
            targets: targets.iter().copied().filter(|target| *target != IGNORE).collect(),
        })
    }

    /// The tokens that follow `past` cached ones.
    pub(crate) fn following(tokens: &[u32], past: usize) -> Self {
        let count = tokens.len();
        let span =
            Span { query_start: 0, query_length: count, key_start: 0, key_length: past + count };
        Self {
            tokens: tokens.to_vec(),
            positions: (past as u32..(past + count) as u32).collect(),
            spans: vec![span],
            rows: vec![count as u32 - 1],
            targets: Vec::new(),
        }
    }
}
