//! One folder per operation, and the registry of them all.
//!
//! A folder has its formula, its CPU functions, and its WGSL beside `gpu.rs`, which says how the programs are launched and
//! lists one of every variant; and one line of `operations!`.

/// Declares the folders and puts the lists of their programs together, which tests validate without a device.
macro_rules! operations {
    ($($operation:ident,)+) => {
        $(pub mod $operation;)+

        /// One of every variant of every operation's programs.
        #[cfg(test)]
        pub(crate) fn programs() -> Vec<crate::program::Program> {
            [$($operation::programs()),+].concat()
        }
    };
}

operations! {
    adamw,
    add,
    attention,
    clip,
    cross_entropy,
    delta,
    embedding,
    glu,
    linear,
    positions,
    probe,
    reselect,
    rms_norm,
    rope,
    rows,
    scale,
    sm3,
    soft_cap,
    top_k,
    transpose,
}

#[cfg(test)]
mod finite_difference;
