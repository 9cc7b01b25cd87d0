//! Counter-based random numbers: every draw is a pure function of (seed, stream, counter).

/// Philox 4x32 with 10 rounds (Salmon et al., 2011): four random words of `counter` under `key`.
#[must_use]
pub fn philox(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p0 = u64::from(c0) * 0xD251_1F53;
        let p1 = u64::from(c2) * 0xCD9E_8D57;
        (c0, c1, c2, c3) =
            ((p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// Normal numbers that one counter gives.
pub const NORMALS_PER_DRAW: usize = 4;

/// Fills `out` with normal numbers of mean 0, drawn from (seed, stream) at counters `first..`, of which each gives
/// [`NORMALS_PER_DRAW`].
pub fn fill_normal(out: &mut [f32], seed: u32, stream: u32, first: u64, std: f32) {
    crate::parallel::chunks_mut(out, crate::parallel::ELEMENTS_PER_TASK, |task, chunk| {
        let first = first + (task * crate::parallel::ELEMENTS_PER_TASK / NORMALS_PER_DRAW) as u64;
        for (block, four) in chunk.chunks_mut(NORMALS_PER_DRAW).enumerate() {
            let counter = first + block as u64;
            let words = philox([seed, stream], [counter as u32, (counter >> 32) as u32, 0, 0]);
            let pairs = [box_muller(words[0], words[1]), box_muller(words[2], words[3])];
            for (out, normal) in four.iter_mut().zip(pairs.as_flattened()) {
                *out = normal * std;
            }
        }
    });
}

/// Two independent standard normal numbers from two random words.
fn box_muller(a: u32, b: u32) -> [f32; 2] {
    // In (0, 1], so that the logarithm is finite.
    let u = (f64::from(a) + 1.0) / 4_294_967_296.0;
    let radius = (-2.0 * u.ln()).sqrt();
    let (sin, cos) = (f64::from(b) / 4_294_967_296.0 * std::f64::consts::TAU).sin_cos();
    [(radius * cos) as f32, (radius * sin) as f32]
}

/// Rounds of the network that permutes positions.
const ROUNDS: u32 = 6;

/// Half of the next even number of bits that hold every position below `total`.
pub(crate) fn half_bits(total: u32) -> u32 {
    (u32::BITS - total.saturating_sub(1).leading_zeros()).div_ceil(2).max(1)
}

/// `count` different positions below `total`, ascending, drawn from (seed, stream).
///
/// The positions are the images of `0..count` under a keyed permutation of `0..total`: a Feistel network over the
/// next even number of bits, walked until it lands inside, so that no draw depends on another.
///
/// # Panics
/// When `count` exceeds `total`.
#[must_use]
pub fn positions(seed: u32, stream: u32, count: usize, total: u32) -> Vec<u32> {
    assert!(count <= total as usize, "{count} positions of {total}");
    let half_bits = half_bits(total);
    let mask = (1_u32 << half_bits) - 1;
    let word = |half: u32, round: u32| philox([seed, stream], [half, round, 1, 0])[0] & mask;
    // A round knows only half of the bits, so that many positions ask for few words again and again.
    let words = (count > mask as usize).then(|| {
        crate::parallel::map((ROUNDS as usize) << half_bits, |index| {
            word(index as u32 & mask, index as u32 >> half_bits)
        })
    });
    let permute = |index: u32| {
        let (mut left, mut right) = (index >> half_bits, index & mask);
        for round in 0..ROUNDS {
            let word = match &words {
                Some(words) => words[(round << half_bits | right) as usize],
                None => word(right, round),
            };
            (left, right) = (right, left ^ word);
        }
        u64::from(left) << half_bits | u64::from(right)
    };
    let mut positions = crate::parallel::map(count, |index| {
        let mut position = permute(index as u32);
        while position >= u64::from(total) {
            position = permute(position as u32);
        }
        position as u32
    });
    positions.sort_unstable();
    positions
}

/// Numbers in [-1, 1) for tests.
#[cfg(test)]
pub(crate) fn uniform(seed: u32, count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| philox([seed, 99], [i as u32, 0, 0, 0])[0] as f32 / 2_147_483_648.0 - 1.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_matches_the_published_vectors() {
        assert_eq!(philox([0; 2], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 2], [u32::MAX; 4]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn positions_are_unique_sorted_and_seeded() {
        for (count, total) in [(0, 1), (1, 1), (5, 5), (100, 101), (1000, 65_537), (3, u32::MAX)] {
            let drawn = positions(7, 3, count, total);
            assert_eq!(drawn.len(), count);
            assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(drawn.iter().all(|position| *position < total));
        }
        assert_ne!(positions(7, 3, 10, 1000), positions(8, 3, 10, 1000));
        assert_ne!(positions(7, 3, 10, 1000), positions(7, 4, 10, 1000));
    }

    #[test]
    fn fewer_positions_are_some_of_more() {
        // Of 2^20 positions, 1024 and more are drawn by a table of words.
        let [few, many] = [1023, 1024].map(|count| positions(7, 3, count, 1_000_000));
        assert!(few.iter().all(|position| many.binary_search(position).is_ok()));
    }

    #[test]
    fn positions_are_spread_evenly() {
        let mut bins = [0; 16];
        for position in positions(1, 0, 16_000, 1 << 20) {
            bins[(position >> 16) as usize] += 1;
        }
        assert!(bins.iter().all(|count| (850..1150).contains(count)), "{bins:?}");
    }

    #[test]
    fn normal_numbers_can_be_drawn_in_parts() {
        let (mut whole, mut parts) = (vec![0.0; 40_003], vec![0.0; 40_003]);
        fill_normal(&mut whole, 5, 1, 0, 1.0);
        let (low, high) = parts.split_at_mut(20_004);
        fill_normal(high, 5, 1, 20_004 / NORMALS_PER_DRAW as u64, 1.0);
        fill_normal(low, 5, 1, 0, 1.0);
        assert!(parts == whole);
    }

    #[test]
    fn normal_numbers_have_the_right_moments() {
        let mut x = vec![0.0; 100_001];
        fill_normal(&mut x, 5, 0, 0, 2.0);
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        let variance = x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32;
        assert!(mean.abs() < 0.03 && (variance - 4.0).abs() < 0.08, "{mean} {variance}");
    }
}
