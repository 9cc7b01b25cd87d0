//! The types in which dense weights are kept. Whatever the type, sums are in f32.

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit floats.
    F32,
    /// IEEE half floats, which need WebGPU's feature `shader-f16`.
    F16,
    /// The upper halves of floats, which CPUs with units for them multiply; WGSL has none.
    Bf16,
}

impl Element {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// The types that a GPU may have.
    pub const OF_GPUS: [Self; 2] = [Self::F32, Self::F16];

    /// Bytes of an element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The WGSL part that declares the type, and how a float becomes one.
    ///
    /// # Panics
    /// For bf16.
    #[must_use]
    pub const fn wgsl(self) -> &'static str {
        match self {
            Self::F32 => include_str!("parts/element_f32.wgsl"),
            Self::F16 => include_str!("parts/element_f16.wgsl"),
            Self::Bf16 => panic!("WGSL has no bf16"),
        }
    }
}
