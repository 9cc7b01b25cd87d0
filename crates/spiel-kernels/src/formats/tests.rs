use super::*;
use crate::random::uniform;
use crate::simd::instructions::for_tests::with_each;
use std::collections::HashMap;

/// Elements that are whole blocks of every format.
const WHOLE: usize = 256;

#[test]
fn decoding_undoes_encoding_to_the_stated_error() {
    let x = uniform(1, 64 * WHOLE);
    for &format in Format::ALL {
        let mut bytes = vec![0; format.bytes(x.len())];
        encode(format, &x, &mut bytes);
        let (mut y, mut z) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        decode(format, &bytes, &mut y);
        decode_threaded(format, &bytes, &mut z);
        assert!(y == z);
        let error = x.iter().zip(&y).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(error <= format.worst_error(), "{format:?} is off by {error}");
    }
}

#[test]
fn a_block_of_zeros_stays_zero() {
    for &format in Format::ALL {
        let mut bytes = vec![1; format.bytes(WHOLE)];
        encode(format, &[0.0; WHOLE], &mut bytes);
        let mut y = [1.0; WHOLE];
        decode(format, &bytes, &mut y);
        assert_eq!(y, [0.0; WHOLE], "{format:?}");
    }
}

/// With a mean, what is multiplied with the scales and what with the minima nearly cancel.
#[test]
fn rows_are_multiplied_as_they_are_decoded() {
    for &format in Format::ALL {
        for (mean, rows) in [(0.0, 3), (5.0, 2)] {
            let inputs = 9 * format.block_elements().max(256);
            let weights = uniform(6, rows * inputs);
            let mut stored = vec![0; format.bytes(weights.len())];
            encode(format, &weights, &mut stored);
            let mut weights = vec![0.0; weights.len()];
            decode(format, &stored, &mut weights);
            let x: Vec<f32> = uniform(7, inputs).into_iter().map(|x| x + mean).collect();
            let exact = |row: &[f32]| -> f64 {
                row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
            };
            let bound = 3e-7 * (inputs as f64).sqrt() * (1.0 + f64::from(mean));
            with_each(|widest| {
                let mut y = vec![f32::NAN; rows];
                multiply(format, &stored, &x, &mut y);
                for (row, y) in weights.chunks(inputs).zip(y) {
                    let error = (f64::from(y) - exact(row)).abs();
                    assert!(error < bound, "{format:?} errs by {error}, {widest} bits");
                }
            });
        }
    }
}

#[test]
fn every_half_float_is_what_it_stands_for() {
    let halves: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let mut floats = vec![0.0; 1 << 16];
    decode(Format::F16, &halves, &mut floats);
    for (bits, float) in (0..=u16::MAX).zip(&floats) {
        let expected = half::f16::from_bits(bits).to_f32_const().to_bits();
        assert_eq!(float.to_bits(), expected, "of {bits:#x}");
    }
}

#[test]
fn decoders_give_the_bits_of_ggml_and_bitsandbytes() {
    let golden = golden();
    for &format in Format::ALL {
        for (packed, expected) in golden.decoded(format) {
            with_each(|widest| {
                let mut actual = vec![0.0; expected.len()];
                decode(format, &packed, &mut actual);
                let mut pairs = actual.iter().zip(&expected);
                let place = pairs.position(|(a, b)| a.to_bits() != b.to_bits());
                assert_eq!(place, None, "{format:?} differs first there, {widest} bits");
            });
        }
    }
}

#[test]
fn encoders_with_one_right_answer_give_it() {
    let golden = golden();
    let source = golden.floats("source");
    for &format in Format::ALL.iter().filter(|format| !format.name().ends_with("_k")) {
        let Some((expected, _)) = golden.decoded(format).into_iter().next() else { continue };
        let mut actual = vec![0; expected.len()];
        encode(format, &source, &mut actual);
        assert!(actual == expected, "{format:?}");
    }
}

#[test]
fn encoders_that_search_come_as_close_as_ggml() {
    let golden = golden();
    let source = golden.floats("source");
    let off =
        |y: &[f32]| source.iter().zip(y).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt();
    for &format in Format::ALL.iter().filter(|format| format.name().ends_with("_k")) {
        let mut bytes = vec![0; format.bytes(source.len())];
        encode(format, &source, &mut bytes);
        let mut decoded = vec![0.0; source.len()];
        decode(format, &bytes, &mut decoded);
        let (_, of_ggml) = golden.decoded(format).swap_remove(0);
        let (ours, ggmls) = (off(&decoded), off(&of_ggml));
        assert!(ours <= ggmls, "{format:?} is off by {ours}, ggml by {ggmls}");
    }
}

#[test]
fn double_quantisation_gives_the_bits_of_bitsandbytes() {
    let golden = golden();
    let source = golden.floats("NF4DQ.source");
    let mut stored = vec![0; Format::Nf4.bytes(source.len())];
    encode(Format::Nf4, &source, &mut stored);
    quantise_in_parts(&mut stored, usize::MAX);
    let (expected, _) = golden.decoded(Format::Nf4).swap_remove(1);
    assert!(stored == expected);
    // One magnitude for all: nothing to scale.
    let mut stored = vec![0; Format::Nf4.bytes(128)];
    encode(Format::Nf4, &[0.5; 128], &mut stored);
    let expected = stored.clone();
    quantise_in_parts(&mut stored, usize::MAX);
    assert!(stored == expected);
}

/// Quantises the magnitudes of a matrix, so many blocks at a time.
fn quantise_in_parts(stored: &mut [u8], blocks: usize) {
    let part = Format::Nf4.block_bytes().saturating_mul(blocks);
    let count = stored.len() / Format::Nf4.block_bytes();
    let sum = stored.chunks(part).fold(0.0, sum_of_magnitudes);
    for part in stored.chunks_mut(part) {
        quantise_magnitudes(part, (sum / count as f64) as f32);
    }
}

#[test]
fn parts_are_quantised_as_the_whole_is() {
    let mut whole = vec![0; Format::Nf4.bytes(64 * 1000)];
    encode(Format::Nf4, &uniform(1, 64 * 1000), &mut whole);
    let before = whole.clone();
    for blocks in [SHARED_BLOCKS, 3 * SHARED_BLOCKS] {
        let mut parts = before.clone();
        quantise_in_parts(&mut parts, blocks);
        whole.copy_from_slice(&before);
        quantise_in_parts(&mut whole, usize::MAX);
        assert!(parts == whole && parts != before, "{blocks} blocks at a time");
    }
}

/// The tensors of a safetensors file.
struct Golden(HashMap<String, Vec<u8>>);

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/quant/quant.safetensors");
    let file = std::fs::read(path).expect("the golden vectors");
    let (length, rest) = file.split_first_chunk().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: HashMap<String, serde_json::Value> =
        serde_json::from_slice(header).expect("a header");
    let tensors = header.into_iter().filter_map(|(name, tensor)| {
        let at = |end: usize| tensor["data_offsets"][end].as_u64().map(|offset| offset as usize);
        Some((name, data[at(0)?..at(1)?].to_vec()))
    });
    Golden(tensors.collect())
}

impl Golden {
    fn floats(&self, name: &str) -> Vec<f32> {
        bytemuck::pod_collect_to_vec(&self.0[name])
    }

    /// Stored bytes and what they stand for: first what `source` becomes, then random bytes and others.
    fn decoded(&self, format: Format) -> Vec<(Vec<u8>, Vec<f32>)> {
        let name = format.name().to_uppercase();
        if format == Format::Nf4 {
            let codes = |name: &str, largest: Vec<f32>| {
                let blocks = largest.iter().zip(self.0[&format!("{name}.packed")].chunks(32));
                let blocks =
                    blocks.flat_map(|(largest, codes)| [&largest.to_le_bytes(), codes].concat());
                (blocks.collect(), self.floats(&format!("{name}.dequantized")))
            };
            return vec![
                codes("NF4", self.floats("NF4.absmax")),
                codes("NF4DQ", self.doubly_quantised()),
            ];
        }
        ["", ".random"]
            .iter()
            .filter_map(|kind| {
                let packed = self.0.get(&format!("{name}{kind}.packed"))?;
                Some((packed.clone(), self.floats(&format!("{name}{kind}.dequantized"))))
            })
            .collect()
    }

    /// Magnitudes that bitsandbytes has quantised in turn.
    fn doubly_quantised(&self) -> Vec<f32> {
        let (code, scales) = (self.floats("NF4DQ.nested_code"), self.floats("NF4DQ.nested_absmax"));
        let offset = self.floats("NF4DQ.offset")[0];
        let bytes = self.0["NF4DQ.absmax_u8"].chunks(256).zip(scales);
        bytes
            .flat_map(|(bytes, scale)| bytes.iter().map(move |byte| (*byte, scale)))
            .map(|(byte, scale)| code[usize::from(byte)] * scale + offset)
            .collect()
    }
}
