use super::*;
use crate::random::uniform;

#[test]
fn decoding_undoes_encoding_to_the_stated_error() {
    let x = uniform(1, 64 * BLOCK);
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
        let mut bytes = vec![1; format.bytes(BLOCK)];
        encode(format, &[0.0; BLOCK], &mut bytes);
        let mut y = [1.0; BLOCK];
        decode(format, &bytes, &mut y);
        assert_eq!(y, [0.0; BLOCK], "{format:?}");
    }
}
