//! When two runs of an operation agree.

/// How far an output may be from the CPU's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    /// The same words.
    Exact,
    /// Floats: this much of the CPU's value, of the mean magnitude of its output, and of a tenth, since inputs are of
    /// size one and exact zeros are only approached.
    Within(f32),
}

/// Asserts that two runs on a GPU gave the same bits, and that they are within the bounds of what the CPU gave.
pub(super) fn agree(
    case: &str,
    bounds: &[Bound],
    expected: &[Vec<u32>],
    [first, second]: &[Vec<Vec<u32>>; 2],
) {
    assert_eq!(bounds.len(), expected.len(), "{case}: outputs");
    assert!(first == second, "{case}: the second run gave other bits");
    for (number, (bound, expected)) in bounds.iter().zip(expected).enumerate() {
        let actual = &first[number];
        assert_eq!(actual.len(), expected.len(), "{case}: words of output {number}");
        match *bound {
            Bound::Exact => {
                let place = actual.iter().zip(expected).position(|(a, b)| a != b);
                assert_eq!(place, None, "{case}: output {number} differs first there");
            }
            Bound::Within(bound) => within(case, number, bound, expected, actual),
        }
    }
}

fn within(case: &str, number: usize, bound: f32, expected: &[u32], actual: &[u32]) {
    let floats = |words: &[u32]| words.iter().map(|word| f32::from_bits(*word)).collect::<Vec<_>>();
    let (expected, actual) = (floats(expected), floats(actual));
    let mean = expected.iter().map(|x| x.abs()).sum::<f32>() / expected.len().max(1) as f32;
    for (place, (a, b)) in actual.iter().zip(&expected).enumerate() {
        // Not a number is never within.
        assert!(
            (a - b).abs() <= bound * (b.abs() + mean + 0.1),
            "{case}: output {number} at {place} is {a}, the CPU's {b}"
        );
    }
}
