//! Rows written as columns: what transposing and packing have in common.

use crate::simd::lanes::{load, store, transposed};

/// Element k of row i goes to `out[k * stride + i]`, four by four at a time.
pub(crate) fn write_columns(rows: [&[f32]; 4], out: &mut [f32], stride: usize) {
    let mut out = out.chunks_mut(stride);
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>().0);
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        for column in transposed([load(a), load(b), load(c), load(d)]) {
            if let Some(place) = out.next().and_then(<[f32]>::first_chunk_mut) {
                store(column, place);
            }
        }
    }
    let rests = rows.map(|row| row.as_chunks::<4>().1);
    for (k, out) in out.enumerate().take(rests[0].len()) {
        for (rest, value) in rests.iter().zip(out) {
            *value = rest[k];
        }
    }
}
