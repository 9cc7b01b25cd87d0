//! The types in which a GPU keeps dense weights. Whatever the type, sums are in f32.

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit floats.
    F32,
    /// IEEE half floats, which need WebGPU's feature `shader-f16`.
    F16,
}

impl Element {
    /// Every type.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// Bytes of an element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// The WGSL part that declares the type, and how a float becomes one.
    #[must_use]
    pub const fn wgsl(self) -> &'static str {
        match self {
            Self::F32 => include_str!("parts/element_f32.wgsl"),
            Self::F16 => include_str!("parts/element_f16.wgsl"),
        }
    }
}
