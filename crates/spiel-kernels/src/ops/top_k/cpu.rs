use crate::parallel::map;

/// Keys that one task counts.
const CHUNK: usize = 1 << 16;
/// Bits of the key decided per pass: three passes for 32 bits.
const PASSES: [(u32, u32); 3] = [(21, 11), (10, 11), (0, 10)];

/// The key that ranks by magnitude; NaN ranks above infinity.
#[must_use]
pub fn magnitude_key(x: f32) -> u32 {
    x.to_bits() & 0x7FFF_FFFF
}

/// The key that ranks the smallest magnitude first.
#[must_use]
pub fn smallest_key(x: f32) -> u32 {
    !magnitude_key(x)
}

/// Keys that are looked at to guess how large the ones that are wanted are.
const SAMPLE: usize = 1 << 14;
/// They are apart by a multiple of this and one more: rows of matrices are multiples of it, so that the columns change.
const SAMPLE_STEP: usize = 64;
/// Where one key in so many is wanted, or more, it gains nothing to leave small ones out first.
const SPARSEST: usize = 8;

/// The indices of the `k` largest of `count` keys, ascending; of equal keys the lower index is taken.
///
/// # Panics
/// When `k` exceeds `count`.
#[must_use]
pub fn largest(count: usize, k: usize, key: impl Fn(usize) -> u32 + Sync) -> Vec<u32> {
    assert!(k <= count, "the {k} largest of {count}");
    let is_sparse = k > 0 && k < count / SPARSEST;
    let bound = if is_sparse { bound(count, k, &key) } else { None };
    let few = bound.map(|bound| at_least(count, bound, &key)).filter(|few| few.len() >= k);
    match few {
        Some(few) => {
            let chosen = select(few.len(), k, |place| key(few[place] as usize));
            chosen.into_iter().map(|place| few[place as usize]).collect()
        }
        None => select(count, k, key),
    }
}

/// A key that `k` keys probably reach, and no more than a few times as many, if there is one.
fn bound(count: usize, k: usize, key: impl Fn(usize) -> u32) -> Option<u32> {
    let step = (count / SAMPLE).next_multiple_of(SAMPLE_STEP) + 1;
    let mut sample: Vec<u32> = (0..count).step_by(step).map(key).collect();
    // Half as many again, and a few more since chance tells little of a few.
    let wanted = k as u64 * sample.len() as u64 / count as u64;
    let rank = (wanted as usize * 3 / 2 + 8).min(sample.len() - 1);
    let bound = *sample.select_nth_unstable_by(rank, |a, b| b.cmp(a)).1;
    // Where most of the keys are the same one, all of them would reach it.
    let reach = sample.iter().filter(|key| **key >= bound).count();
    (reach <= 2 * rank).then_some(bound)
}

/// The indices of keys that reach a bound, ascending.
fn at_least(count: usize, bound: u32, key: impl Fn(usize) -> u32 + Sync) -> Vec<u32> {
    let parts = map(count.div_ceil(CHUNK), |chunk| {
        let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(count);
        range.filter(|index| key(*index) >= bound).map(|index| index as u32).collect::<Vec<_>>()
    });
    parts.concat()
}

/// The same by radix selection: each pass counts one digit of the keys that still tie with the threshold.
fn select(count: usize, k: usize, key: impl Fn(usize) -> u32 + Sync) -> Vec<u32> {
    if k == 0 {
        return Vec::new();
    }
    let chunks = count.div_ceil(CHUNK);
    let range = |chunk: usize| chunk * CHUNK..((chunk + 1) * CHUNK).min(count);
    // `threshold` is the k-th largest key's digits found so far; `wanted` keys equal to it are needed, of which each
    // chunk holds so many.
    let (mut threshold, mut wanted, mut decided) = (0_u32, k, 0_u32);
    let mut equals = Vec::new();
    for (shift, bits) in PASSES {
        let counts = map(chunks, |chunk| {
            let mut counts = vec![0_usize; 1 << bits];
            for index in range(chunk) {
                let key = key(index);
                if key & decided == threshold {
                    counts[(key >> shift) as usize & ((1 << bits) - 1)] += 1;
                }
            }
            counts
        });
        let mut digit = (1 << bits) - 1;
        loop {
            let here: usize = counts.iter().map(|counts| counts[digit]).sum();
            if here >= wanted {
                break;
            }
            wanted -= here;
            digit -= 1;
        }
        threshold |= (digit as u32) << shift;
        decided |= ((1_u32 << bits) - 1) << shift;
        equals = counts.iter().map(|counts| counts[digit]).collect();
    }
    // Of equal keys the first chunks take all that are wanted, so that no chunk lists more than it gives.
    for equals in &mut equals {
        *equals = wanted.min(*equals);
        wanted -= *equals;
    }
    let parts = map(chunks, |chunk| {
        let (mut above, mut equal) = (Vec::new(), Vec::with_capacity(equals[chunk]));
        for index in range(chunk) {
            match key(index).cmp(&threshold) {
                std::cmp::Ordering::Greater => above.push(index as u32),
                std::cmp::Ordering::Equal if equal.len() < equals[chunk] => {
                    equal.push(index as u32);
                }
                std::cmp::Ordering::Equal | std::cmp::Ordering::Less => {}
            }
        }
        (above, equal)
    });
    let mut chosen = Vec::with_capacity(k);
    for (above, equal) in parts {
        merge(&above, &equal, &mut chosen);
    }
    chosen
}

/// Appends two ascending lists without common elements, merged.
fn merge(mut a: &[u32], mut b: &[u32], out: &mut Vec<u32>) {
    while let (Some((x, a_rest)), Some((y, b_rest))) = (a.split_first(), b.split_first()) {
        if x < y {
            out.push(*x);
            a = a_rest;
        } else {
            out.push(*y);
            b = b_rest;
        }
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::philox;

    #[test]
    fn agrees_with_a_stable_sort() {
        for (count, distinct) in [(1, 1), (100, 3), (1000, u32::MAX), (200_000, 1000), (70_000, 1)]
        {
            let keys: Vec<u32> =
                (0..count).map(|i| philox([1, 2], [i, 0, 0, 0])[0] % distinct).collect();
            let mut order: Vec<u32> = (0..count).collect();
            order.sort_by_key(|i| std::cmp::Reverse(keys[*i as usize]));
            for k in [0, 1, count as usize / 90, count as usize / 3, count as usize] {
                let mut expected = order[..k].to_vec();
                expected.sort_unstable();
                assert_eq!(largest(count as usize, k, |i| keys[i]), expected);
            }
        }
    }

    #[test]
    fn keys_that_tie_are_not_listed() {
        let few = |i: usize| if i.is_multiple_of(20_000) { i as u32 } else { 1 };
        assert_eq!(bound(1 << 20, 600, few), None);
        assert_eq!(bound(1 << 20, 600, |_| 0), None);
        assert!(bound(1 << 20, 600, |i| i as u32).is_some());
    }

    #[test]
    fn a_guess_that_is_too_high_is_not_taken() {
        // All keys that are looked at are larger than all others.
        let key = |i: usize| if i.is_multiple_of(SAMPLE_STEP + 1) { 1 << 30 } else { i as u32 };
        let (count, k) = (2000 * (SAMPLE_STEP + 1), 3000);
        let chosen = largest(count, k, key);
        assert_eq!(chosen.len(), k);
        assert_eq!(chosen.iter().filter(|i| key(**i as usize) == 1 << 30).count(), 2000);
        let rest = chosen.iter().filter(|i| key(**i as usize) < 1 << 30);
        assert_eq!(rest.copied().min(), Some(count as u32 - 1015));
    }

    #[test]
    fn keys_rank_by_magnitude() {
        let x = [0.5, -2.0, 0.0, 1.0, -0.0];
        assert_eq!(largest(5, 2, |i| magnitude_key(x[i])), [1, 3]);
        assert_eq!(largest(5, 3, |i| smallest_key(x[i])), [0, 2, 4]);
    }
}
