//! Products of operands that lie in the first caches already, so that none is packed.
//!
//! Rows of B and C are whole vectors. Every element of C is summed along k in the same order whatever its place, and so
//! whatever tile of registers it falls into.

use super::Matrix;
use crate::simd::LANES;
use crate::simd::instructions::{Instructions, Kernel, run_best};
use std::array::from_fn;

/// What the rows of B and C are made of.
pub(crate) type Vector = [f32; LANES];

/// Rows of the tallest tile: a number of rows that this divides leaves none over.
pub(crate) const TALLEST: usize = 8;

/// C (+)= A·B on the calling thread: `A [m, k]`, `B [k, n]`, `C [m, n]`, where `width` vectors make up a row of B and of C.
///
/// # Panics
/// When the shapes do not agree.
pub(crate) fn multiply(a: Matrix, b: &[Vector], c: &mut [Vector], width: usize, accumulate: bool) {
    assert_eq!(b.len(), a.columns * width, "B is not [{}, {width}]", a.columns);
    assert_eq!(c.len(), a.rows * width, "C is not [{}, {width}]", a.rows);
    run_best(Multiply { a, b, c, width, accumulate });
}

struct Multiply<'a> {
    a: Matrix<'a>,
    b: &'a [Vector],
    c: &'a mut [Vector],
    width: usize,
    accumulate: bool,
}

impl Kernel for Multiply<'_> {
    #[inline(always)]
    fn run(self, instructions: impl Instructions) {
        self.multiply(instructions);
    }
}

impl Multiply<'_> {
    /// Goes down C by strips of rows, as many as the sums of a tile leave registers for.
    #[inline(always)]
    fn multiply<I: Instructions>(mut self, instructions: I) {
        let mut row = 0;
        while row < self.a.rows {
            row += match (I::SUMS, self.a.rows - row) {
                (24.., TALLEST..) => self.strip::<I, TALLEST>(instructions, row),
                (4.., 4..) => self.strip::<I, 4>(instructions, row),
                (2.., 2..) => self.strip::<I, 2>(instructions, row),
                _ => self.strip::<I, 1>(instructions, row),
            };
        }
    }

    #[inline(always)]
    fn strip<I: Instructions, const ROWS: usize>(&mut self, instructions: I, row: usize) -> usize {
        let mut column = 0;
        while column < self.width {
            column += match (I::SUMS / ROWS, self.width - column) {
                (3.., 3 | 5..) => self.tile::<I, ROWS, 3>(instructions, row, column),
                (2.., 2..) => self.tile::<I, ROWS, 2>(instructions, row, column),
                _ => self.tile::<I, ROWS, 1>(instructions, row, column),
            };
        }
        ROWS
    }

    /// The part of C that begins here, in registers from the first step of k to the last. They are counted by constants
    /// only, or the compiler would put them into memory.
    #[inline(always)]
    fn tile<I: Instructions, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        instructions: I,
        row: usize,
        column: usize,
    ) -> usize {
        let (a, width) = (self.a, self.width);
        let mut sums = [[instructions.splat(0.0); VECTORS]; ROWS];
        let steps = self.b[column..].chunks(width);
        if a.column_stride == 1 {
            let rows: [&[f32]; ROWS] =
                from_fn(|i| &a.data[(row + i) * a.row_stride..][..a.columns]);
            for (k, b) in (0..a.columns).zip(steps) {
                let b: [I::Vector; VECTORS] = from_fn(|j| instructions.load(&b[j]));
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let a = instructions.splat(row[k]);
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = instructions.fused(a, b, *sum);
                    }
                }
            }
        } else {
            for (a, b) in a.data[row..].chunks(a.column_stride).zip(steps) {
                let b: [I::Vector; VECTORS] = from_fn(|j| instructions.load(&b[j]));
                for (sums, a) in sums.iter_mut().zip(&a[..ROWS]) {
                    let a = instructions.splat(*a);
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = instructions.fused(a, b, *sum);
                    }
                }
            }
        }
        let (one, c) = (instructions.splat(1.0), &mut self.c[row * width + column..]);
        for (i, sums) in sums.into_iter().enumerate() {
            for (j, mut sum) in sums.into_iter().enumerate() {
                let c = &mut c[i * width + j];
                if self.accumulate {
                    sum = instructions.fused(one, instructions.load(c), sum);
                }
                instructions.store(sum, c);
            }
        }
        VECTORS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::uniform;
    use crate::simd::instructions::for_tests::with_each;

    #[test]
    fn every_shape_follows_the_formula_with_each_set_of_instructions() {
        for (m, k, width) in [(1, 1, 1), (7, 5, 2), (8, 64, 3), (21, 9, 4), (16, 3, 5), (35, 1, 7)]
        {
            let numbers = uniform(2, k * width * LANES);
            let b = numbers.as_chunks::<LANES>().0;
            // Rows of A, and columns of what is stored the other way about, are further apart than they are long.
            let (rows, columns) = (uniform(1, m * (k + 3)), uniform(1, k * (m + 3)));
            let rows = Matrix::new(&rows, m, k, k + 3);
            for a in [rows, Matrix::new(&columns, k, m, m + 3).transposed()] {
                with_each(|widest| {
                    for accumulate in [false, true] {
                        let mut c = vec![[2.0; LANES]; m * width];
                        multiply(a, b, &mut c, width, accumulate);
                        for (i, found) in c.as_flattened().iter().enumerate() {
                            let (row, column) = (i / (width * LANES), i % (width * LANES));
                            let product = |k| {
                                let a = a.data[row * a.row_stride + k * a.column_stride];
                                f64::from(a) * f64::from(numbers[k * width * LANES + column])
                            };
                            let start = if accumulate { 2.0 } else { 0.0 };
                            let expected = (0..k).map(product).sum::<f64>() + start;
                            let error = (f64::from(*found) - expected).abs();
                            assert!(
                                error < 1e-5,
                                "{m} x {k} x {width}, {widest} bits: off by {error:e}"
                            );
                        }
                    }
                });
            }
        }
    }
}
