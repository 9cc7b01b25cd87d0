//! WGSL that several operations share: a file each, and its name in `parts!`.

macro_rules! parts {
    ($($name:ident,)+) => {
        /// Every part, by its name.
        pub(crate) const PARTS: &[(&str, &str)] =
            &[$((stringify!($name), include_str!(concat!(stringify!($name), ".wgsl")))),+];
    };
}

parts! {
    blocks,
    clip,
    elements,
    grid,
    keys,
    part_scales,
    philox,
    reduce,
    row_sums,
    runs,
    selection,
    soft_cap,
}
