//! Dense matrix products C = A·B (+ C), in f32, over strided views.

mod bf16;
mod blocked;
pub(crate) mod cached;
mod lanes;
mod parts;
mod streamed;
#[cfg(test)]
mod tests;

pub use crate::simd::bf16::Unit;
pub use bf16::{Factor, product_bf16, round_to_bf16};
pub use streamed::StoredMatrix;

use crate::simd::FEW_REGISTERS;
use streamed::Columns;

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
    /// The product is added to what is there, or replaces it.
    #[must_use]
    pub fn new(data: &'a mut [f32], accumulate: bool) -> Self {
        Self { data, accumulate }
    }

    /// The product replaces what is there.
    #[must_use]
    pub fn replace(data: &'a mut [f32]) -> Self {
        Self::new(data, false)
    }
}

/// C (+)= A·B on the calling thread.
///
/// # Panics
/// When the shapes do not agree.
pub(crate) fn product(a: Matrix, b: Matrix, mut c: Output) {
    if has_work(a, b.shape(), &mut c) {
        run(a, b, c, false);
    }
}

/// C (+)= A·B on all threads; the same bits as on one.
///
/// # Panics
/// When the shapes do not agree.
pub(crate) fn product_threaded(a: Matrix, b: Matrix, mut c: Output) {
    if has_work(a, b.shape(), &mut c) {
        run(a, b, c, true);
    }
}

fn run(a: Matrix, b: Matrix, c: Output, threaded: bool) {
    if FEW_REGISTERS {
        lanes::product(a, b, c, threaded);
    } else {
        streamed::product(a, b, c, threaded);
    }
}

/// The same where B is decoded on its way: the bits that the decoded matrix would give.
///
/// # Panics
/// When the shapes do not agree, and in WebAssembly, whose tile is packed from dense matrices.
pub(crate) fn product_stored(a: Matrix, b: impl Columns, mut c: Output) {
    if FEW_REGISTERS {
        unreachable!("no product takes stored weights here");
    }
    if has_work(a, b.shape(), &mut c) {
        streamed::product(a, b, c, true);
    }
}

/// Words of scratch that products keep of each thread's at most, where some round to bf16 or none.
#[must_use]
pub fn scratch_words(rounds: bool) -> usize {
    let words = if FEW_REGISTERS { lanes::scratch_words() } else { streamed::scratch_words() };
    if rounds { words.max(bf16::scratch_words()) } else { words }
}

/// Whether there is anything to multiply by a matrix of these rows and columns; where sums are of nothing, they are
/// written.
///
/// # Panics
/// When the shapes do not agree.
fn has_work(a: Matrix, b: (usize, usize), c: &mut Output) -> bool {
    let (m, k, n) = (a.rows, a.columns, b.1);
    assert_eq!(k, b.0, "inner dimensions differ");
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
