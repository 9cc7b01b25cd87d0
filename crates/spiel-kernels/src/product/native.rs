//! The dense product by the `gemm` crate, which chooses instructions at run time.
#![expect(unsafe_code, reason = "the library takes pointers")]

use super::{Matrix, Output};
use crate::parallel::threads;

/// C (+)= factor · A·B for shapes that agree and have no zero.
pub(super) fn product(a: Matrix, b: Matrix, factor: f32, c: Output, threaded: bool) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    let parallelism = if threaded && threads() > 1 {
        gemm::Parallelism::Rayon(threads())
    } else {
        gemm::Parallelism::None
    };
    let c_data = &mut c.data[..m * n];
    // SAFETY: `Matrix::new` checked that every (row, column) of A and B lies inside its slice, the line above that C does,
    // which is borrowed mutably, so it overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c_data.as_mut_ptr(),
            1,
            n as isize,
            c.accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}
