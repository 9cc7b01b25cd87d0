//! Dense products of any size: halved until every operand fits a binding, and the work a dispatch.

use super::{GpuBuffer, GpuDevice};
use crate::device::{Dense, Factor};
use spiel_kernels::element::Element;
use spiel_kernels::ops::linear::{Layout, product_program, product_work};

/// A matrix in a buffer.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    buffer: &'a GpuBuffer,
    /// f32 unless it is weights, the second factor of a product.
    element: Element,
    layout: Layout,
}

impl<'a> Operand<'a> {
    /// Row-major, `width` elements a row.
    pub(super) fn new(buffer: &'a GpuBuffer, width: usize) -> Self {
        let layout = Layout { first: 0, row: width, column: 1 };
        Self { buffer, element: Element::F32, layout }
    }

    /// The same of weights.
    pub(super) fn weights(weights: Factor<'a, GpuBuffer>, width: usize) -> Self {
        let Factor::Dense(Dense { data, element, .. }) = weights else {
            unreachable!("a GPU multiplies no stored weights");
        };
        Self { element, ..Self::new(data, width) }
    }

    /// The transpose, without moving anything.
    pub(super) fn transposed(self) -> Self {
        let Layout { first, row, column } = self.layout;
        Self { layout: Layout { first, row: column, column: row }, ..self }
    }

    /// The matrix from this row and column on.
    pub(super) fn from(self, row: usize, column: usize) -> Self {
        let first = self.layout.first + row * self.layout.row + column * self.layout.column;
        Self { layout: Layout { first, ..self.layout }, ..self }
    }

    /// Bytes from the first element to the last.
    fn bytes(self, rows: usize, columns: usize) -> usize {
        let last = |count: usize, stride: usize| count.saturating_sub(1) * stride;
        let elements = last(rows, self.layout.row) + last(columns, self.layout.column) + 1;
        elements * self.element.bytes()
    }
}

impl GpuDevice {
    /// C `[m, n]` (+)= A `[m, k]` · B `[k, n]`.
    pub(super) fn product(
        &self,
        [m, n, k]: [usize; 3],
        a: Operand,
        b: Operand,
        c: Operand,
        accumulate: bool,
    ) {
        // A binding may begin up to an alignment before its matrix.
        let fits = |operand: Operand, rows, columns| {
            operand.bytes(rows, columns) + self.offset_alignment <= self.binding_bytes
        };
        let half = |count: usize| (count / 2).next_multiple_of(64).min(count - 1);
        let (a_fits, b_fits) = (fits(a, m, k), fits(b, k, n));
        let work = product_work([m, n, k], b.element, accumulate);
        let is_long = self.budget.get().dispatches(&work) > 1;
        let (cuts_m, cuts_n) = (is_long && m >= n && m > 64, is_long && n > m && n > 64);
        if cuts_m || (m > 1 && ((!a_fits && a.layout.is_row_major()) || !fits(c, m, n))) {
            let top = half(m);
            self.product([top, n, k], a, b, c, accumulate);
            self.product([m - top, n, k], a.from(top, 0), b, c.from(top, 0), accumulate);
        } else if cuts_n || (n > 1 && !b_fits && !b.layout.is_row_major()) {
            let left = half(n);
            self.product([m, left, k], a, b, c, accumulate);
            self.product([m, n - left, k], a, b.from(0, left), c.from(0, left), accumulate);
        } else if k > 1 && !(a_fits && b_fits) {
            let near = half(k);
            self.product([m, n, near], a, b, c, accumulate);
            self.product([m, n, k - near], a.from(0, near), b.from(near, 0), c, true);
        } else {
            self.dispatch_product([m, n, k], a, b, c, accumulate);
        }
    }

    fn dispatch_product(
        &self,
        shape: [usize; 3],
        a: Operand,
        b: Operand,
        c: Operand,
        accumulate: bool,
    ) {
        let bound = [a, b, c].map(|operand| {
            let (first, bytes) = (operand.layout.first, operand.element.bytes());
            let before = first * bytes / self.offset_alignment * self.offset_alignment;
            let layout = Layout { first: first - before / bytes, ..operand.layout };
            (self.starting_at(operand.buffer, before), layout)
        });
        let layouts = bound.map(|(_, layout)| layout);
        let program = product_program(self.tiling.get(), b.element, shape, layouts, accumulate);
        self.run(&program, &bound.map(|(slice, _)| slice));
    }
}
