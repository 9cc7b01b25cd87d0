//! Dense matrix products C = A·B (+ C), in f32, over strided views.
#![allow(unsafe_code)]

#[cfg(feature = "native-gemm")]
use crate::parallel::threads;

/// A read-only strided matrix.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows begin `row_stride` elements apart.
    ///
    /// # Panics
    /// When `data` is too short for the shape.
    #[must_use]
    pub fn new(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
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

#[cfg_attr(
    not(feature = "native-gemm"),
    expect(unused_variables, reason = "only the native product has threads")
)]
fn run(a: Matrix, b: Matrix, factor: f32, c: Output, threaded: bool) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!(k, b.rows, "inner dimensions differ");
    assert!(
        m.checked_mul(n).is_some_and(|needed| needed <= c.data.len()),
        "a {m} x {n} result does not fit {} elements",
        c.data.len()
    );
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !c.accumulate {
            c.data[..m * n].fill(0.0);
        }
        return;
    }
    #[cfg(feature = "native-gemm")]
    {
        let parallelism = if threaded && threads() > 1 {
            gemm::Parallelism::Rayon(threads())
        } else {
            gemm::Parallelism::None
        };
        // SAFETY: `Matrix::new` checked that every (row, column) of A and B lies inside its slice, the assertion
        // above that C does; `c.data` is borrowed mutably, so it overlaps neither.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.data.as_mut_ptr(),
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
    #[cfg(not(feature = "native-gemm"))]
    {
        let beta = if c.accumulate { 1.0 } else { 0.0 };
        // SAFETY: as above; `matrixmultiply` reads and writes the same elements.
        unsafe {
            matrixmultiply::sgemm(
                m,
                k,
                n,
                factor,
                a.data.as_ptr(),
                a.row_stride as isize,
                a.column_stride as isize,
                b.data.as_ptr(),
                b.row_stride as isize,
                b.column_stride as isize,
                beta,
                c.data.as_mut_ptr(),
                n as isize,
                1,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::uniform;

    fn reference(a: Matrix, b: Matrix) -> Vec<f64> {
        let at = |m: &Matrix, r: usize, c: usize| {
            f64::from(m.data[r * m.row_stride + c * m.column_stride])
        };
        (0..a.rows * b.columns)
            .map(|i| {
                (0..a.columns).map(|k| at(&a, i / b.columns, k) * at(&b, k, i % b.columns)).sum()
            })
            .collect()
    }

    #[test]
    fn agrees_with_double_precision_in_every_orientation() {
        for (m, n, k) in
            [(1, 1, 1), (3, 5, 7), (17, 33, 65), (64, 64, 64), (1, 100, 300), (130, 1, 40)]
        {
            let a = uniform(1, m * k);
            let b = uniform(2, k * n);
            for transposed in [(false, false), (true, false), (false, true), (true, true)] {
                let a = if transposed.0 {
                    Matrix::new(&a, k, m, m).transposed()
                } else {
                    Matrix::new(&a, m, k, k)
                };
                let b = if transposed.1 {
                    Matrix::new(&b, n, k, k).transposed()
                } else {
                    Matrix::new(&b, k, n, n)
                };
                let expected = reference(a, b);
                let mut c = vec![1.0; m * n];
                product(a, b, 1.0, Output::add(&mut c));
                let mut d = vec![f32::NAN; m * n];
                product_threaded(a, b, Output::replace(&mut d));
                for i in 0..m * n {
                    assert!(
                        (f64::from(c[i]) - 1.0 - expected[i]).abs() < 1e-4,
                        "{m}x{n}x{k} at {i}"
                    );
                    assert!((f64::from(d[i]) - expected[i]).abs() < 1e-4, "{m}x{n}x{k} at {i}");
                }
            }
        }
    }

    #[cfg(feature = "threads")]
    #[test]
    fn threads_do_not_change_the_bits() {
        let on = |threads: usize, work: &(dyn Fn() -> Vec<f32> + Sync)| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool")
                .install(work)
        };
        for (m, n, k) in
            [(96, 200, 333), (1024, 576, 64), (7, 1000, 513), (257, 65, 1536), (1, 576, 576)]
        {
            let (a, b) = (uniform(3, m * k), uniform(4, n * k));
            let run = || {
                let mut c = vec![0.0; m * n];
                product_threaded(
                    Matrix::new(&a, m, k, k),
                    Matrix::new(&b, n, k, k).transposed(),
                    Output::replace(&mut c),
                );
                c
            };
            let one = on(1, &run);
            for threads in [2, 3, 8] {
                assert!(on(threads, &run) == one, "{m}x{n}x{k} differs on {threads} threads");
            }
        }
    }
}
