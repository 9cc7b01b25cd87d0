//! Four f32 side by side: of WebAssembly where that is the target, elsewhere of plain arrays, so that everything above
//! is tested on any machine.

pub(crate) mod bf16;
pub(crate) mod instructions;
pub(crate) mod squares;

/// Numbers that loops take at once: a vector of the widest registers.
pub(crate) const LANES: usize = 16;

/// Bytes of a cache line.
pub(crate) const CACHE_LINE: usize = 64;

/// As many floats as fit from the first that begins a cache line.
pub(crate) fn aligned(floats: &mut [f32]) -> &mut [f32] {
    let start = floats.as_ptr().align_offset(CACHE_LINE).min(floats.len());
    &mut floats[start..]
}

/// Whether registers hold few sums, for which products have a tile of their own: 15 of four numbers in engines of WebAssembly.
pub(crate) const FEW_REGISTERS: bool = cfg!(target_arch = "wasm32");

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "a SIMD leaf")]
pub(crate) mod lanes {
    use std::arch::wasm32::{
        f32x4_relaxed_madd, f32x4_splat, i32x4_shuffle, v128, v128_load, v128_store,
    };

    /// Four f32.
    pub(crate) type Lanes = v128;

    #[inline(always)]
    pub(crate) fn load(from: &[f32; 4]) -> Lanes {
        // SAFETY: four floats are the 16 bytes that are read; no alignment is asked for.
        unsafe { v128_load(from.as_ptr().cast()) }
    }

    #[inline(always)]
    pub(crate) fn store(lanes: Lanes, to: &mut [f32; 4]) {
        // SAFETY: four floats are the 16 bytes that are written; no alignment is asked for.
        unsafe { v128_store(to.as_mut_ptr().cast(), lanes) }
    }

    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Lanes {
        f32x4_splat(value)
    }

    /// a·b + c, rounded once where the processor can.
    #[inline(always)]
    pub(crate) fn multiply_add(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        f32x4_relaxed_madd(a, b, c)
    }

    /// Rows become columns.
    #[inline(always)]
    pub(crate) fn transposed([a, b, c, d]: [Lanes; 4]) -> [Lanes; 4] {
        let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<0, 4, 1, 5>(c, d));
        let (ab_high, cd_high) =
            (i32x4_shuffle::<2, 6, 3, 7>(a, b), i32x4_shuffle::<2, 6, 3, 7>(c, d));
        [
            i32x4_shuffle::<0, 1, 4, 5>(ab, cd),
            i32x4_shuffle::<2, 3, 6, 7>(ab, cd),
            i32x4_shuffle::<0, 1, 4, 5>(ab_high, cd_high),
            i32x4_shuffle::<2, 3, 6, 7>(ab_high, cd_high),
        ]
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod lanes {
    use std::array::from_fn;

    /// Four f32.
    pub(crate) type Lanes = [f32; 4];

    #[inline(always)]
    pub(crate) fn load(from: &[f32; 4]) -> Lanes {
        *from
    }

    #[inline(always)]
    pub(crate) fn store(lanes: Lanes, to: &mut [f32; 4]) {
        *to = lanes;
    }

    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Lanes {
        [value; 4]
    }

    #[inline(always)]
    pub(crate) fn multiply_add(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        // Elsewhere a function would be called for every single number.
        let fused = cfg!(target_arch = "aarch64");
        from_fn(|i| if fused { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] })
    }

    #[inline(always)]
    pub(crate) fn transposed(rows: [Lanes; 4]) -> [Lanes; 4] {
        from_fn(|column| rows.map(|row| row[column]))
    }
}
