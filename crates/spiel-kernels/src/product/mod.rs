//! Dense matrix products C = A·B (+ C), in f32, over strided views.

mod bf16;
mod blocked;
pub(crate) mod cached;
#[cfg(any(test, not(feature = "native-gemm")))]
mod lanes;
#[cfg(feature = "native-gemm")]
mod native;
#[cfg(test)]
mod tests;

pub use crate::simd::bf16::Unit;
pub use bf16::{Factor, product_bf16};
#[cfg(not(feature = "native-gemm"))]
use lanes as implementation;
#[cfg(feature = "native-gemm")]
use native as implementation;

/// A read-only strided matrix.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T = f32> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// A row-major matrix whose rows begin `row_stride` elements apart.
    ///
    /// # Panics
    /// When `data` is too short for the shape.
    #[must_use]
    pub fn new(data: &'a [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(
            columns <= row_stride || rows <= 1,
            "rows of {columns} overlap at stride {row_stride}"
        );
        let needed = match rows.checked_sub(1) {
            Some(before) if columns > 0 => {
                before.checked_mul(row_stride).and_then(|start| start.checked_add(columns))
            }
            _ => Some(0),
        };
        assert!(
            needed.is_some_and(|needed| needed <= data.len()),
            "a {rows} x {columns} matrix at stride {row_stride} does not fit {} elements",
            data.len()
        );
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// The transpose, without moving anything.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A contiguous row-major result `[rows, columns]`.
pub struct Output<'a> {
    data: &'a mut [f32],
    accumulate: bool,
}

impl<'a> Output<'a> {
    /// The product replaces what is there.
    #[must_use]
    pub fn replace(data: &'a mut [f32]) -> Self {
        Self { data, accumulate: false }
    }

    /// The product is added to what is there.
    #[must_use]
    pub fn add(data: &'a mut [f32]) -> Self {
        Self { data, accumulate: true }
    }
}

/// C (+)= factor · A·B on the calling thread.
///
/// # Panics
/// When the shapes do not agree.
pub fn product(a: Matrix, b: Matrix, factor: f32, c: Output) {
    run(a, b, factor, c, false);
}

/// C (+)= A·B on all threads; the same bits as on one.
///
/// # Panics
/// When the shapes do not agree.
pub fn product_threaded(a: Matrix, b: Matrix, c: Output) {
    run(a, b, 1.0, c, true);
}

/// Frees what products keep of this thread's, where its end would not.
pub fn free_scratch() {
    blocked::free_scratch();
}

fn run(a: Matrix, b: Matrix, factor: f32, mut c: Output, threaded: bool) {
    if has_work(a, b, &mut c) {
        implementation::product(a, b, factor, c, threaded);
    }
}

/// Whether there is anything to multiply; where sums are of nothing, they are written.
///
/// # Panics
/// When the shapes do not agree.
fn has_work<T>(a: Matrix, b: Matrix<T>, c: &mut Output) -> bool {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!(k, b.rows, "inner dimensions differ");
    assert!(
        m.checked_mul(n).is_some_and(|needed| needed <= c.data.len()),
        "a {m} x {n} result does not fit {} elements",
        c.data.len()
    );
    if k == 0 && !c.accumulate {
        c.data[..m * n].fill(0.0);
    }
    m > 0 && n > 0 && k > 0
}
