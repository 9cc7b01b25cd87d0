//! What the tile does to four f32 at a time.

pub(super) use lanes::{add, splats};

#[cfg(target_arch = "wasm32")]
mod lanes {
    use crate::simd::lanes::Lanes;
    use std::arch::wasm32::{f32x4_add, i32x4_shuffle};

    #[inline(always)]
    pub(in super::super) fn add(a: Lanes, b: Lanes) -> Lanes {
        f32x4_add(a, b)
    }

    /// Each of the four in all places. One load and four shuffles: engines check the bounds of every load, which costs
    /// more than a shuffle.
    #[inline(always)]
    pub(in super::super) fn splats(a: Lanes) -> [Lanes; 4] {
        [
            i32x4_shuffle::<0, 0, 0, 0>(a, a),
            i32x4_shuffle::<1, 1, 1, 1>(a, a),
            i32x4_shuffle::<2, 2, 2, 2>(a, a),
            i32x4_shuffle::<3, 3, 3, 3>(a, a),
        ]
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod lanes {
    use crate::simd::lanes::Lanes;
    use std::array::from_fn;

    #[inline(always)]
    pub(in super::super) fn add(a: Lanes, b: Lanes) -> Lanes {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    pub(in super::super) fn splats(a: Lanes) -> [Lanes; 4] {
        a.map(|a| [a; 4])
    }
}
