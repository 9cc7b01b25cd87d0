use super::*;
use crate::formats::{Format, encode};
use crate::ops::delta::materialise;
use crate::random::{positions, uniform};
use crate::simd::instructions::for_tests::with_each;

type Product = fn(Matrix, Matrix, Output, bool);

/// That of native builds, and that of WebAssembly.
const PRODUCTS: [Product; 2] =
    [|a, b, c, threaded| streamed::product(a, b, c, threaded), lanes::product];

fn reference(a: Matrix, b: Matrix) -> Vec<f64> {
    let at =
        |m: &Matrix, r: usize, c: usize| f64::from(m.data[r * m.row_stride + c * m.column_stride]);
    (0..a.rows * b.columns)
        .map(|i| (0..a.columns).map(|k| at(&a, i / b.columns, k) * at(&b, k, i % b.columns)).sum())
        .collect()
}

/// A matrix of the shape, stored as it is or transposed, with rows that lie `gap` further apart than they are long.
fn matrix<T>(
    data: &[T],
    rows: usize,
    columns: usize,
    transposed: bool,
    gap: usize,
) -> Matrix<'_, T> {
    if transposed {
        Matrix::new(data, columns, rows, rows + gap).transposed()
    } else {
        Matrix::new(data, rows, columns, columns + gap)
    }
}

fn random(seed: u32, rows: usize, columns: usize, gap: usize) -> Vec<f32> {
    uniform(seed, (rows + gap) * (columns + gap))
}

/// The last ones are longer than the blocks of all products, in each dimension.
const SHAPES: [(usize, usize, usize); 11] = [
    (1, 1, 1),
    (3, 5, 7),
    (17, 33, 65),
    (64, 64, 64),
    (1, 100, 300),
    (1, 70, 513),
    (130, 1, 40),
    (37, 1035, 5),
    (34, 19, 259),
    (45, 217, 1600),
    (15, 300, 1600),
];

#[test]
fn agrees_with_double_precision_in_every_orientation() {
    for (m, n, k) in SHAPES {
        for (gap, transposed) in
            [(0, (false, false)), (3, (true, false)), (0, (false, true)), (3, (true, true))]
        {
            let (a, b) = (random(1, m, k, gap), random(2, k, n, gap));
            let a = matrix(&a, m, k, transposed.0, gap);
            let b = matrix(&b, k, n, transposed.1, gap);
            let expected = reference(a, b);
            for product in PRODUCTS {
                with_each(|widest| {
                    let mut c = vec![1.0; m * n];
                    product(a, b, Output::new(&mut c, true), false);
                    let mut d = vec![f32::NAN; m * n];
                    product(a, b, Output::replace(&mut d), false);
                    for i in 0..m * n {
                        let (c, d) = (f64::from(c[i]) - 1.0, f64::from(d[i]));
                        let case = format!("{m}x{n}x{k} at {i}, {widest} bits");
                        assert!((c - expected[i]).abs() < 1e-4, "{case}, added");
                        assert!((d - expected[i]).abs() < 1e-4, "{case}");
                    }
                });
            }
        }
    }
}

#[test]
fn factors_are_rounded_once_and_sums_are_not() {
    let rounded =
        |x: &[f32]| -> Vec<f32> { x.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect() };
    let shapes = [(70, 129, 1100), (33, 1040, 31), (2, 3, 2)];
    for (m, n, k) in SHAPES.into_iter().chain(shapes) {
        for (gap, transposed) in
            [(0, (false, false)), (3, (true, false)), (0, (false, true)), (3, (true, true))]
        {
            let (a, b) = (random(1, m, k, gap), random(2, k, n, gap));
            let (a_rounded, b_rounded) = (rounded(&a), rounded(&b));
            let expected = reference(
                matrix(&a_rounded, m, k, transposed.0, gap),
                matrix(&b_rounded, k, n, transposed.1, gap),
            );
            let halves: Vec<half::bf16> = b.iter().map(|b| half::bf16::from_f32(*b)).collect();
            let a = matrix(&a, m, k, transposed.0, gap);
            for unit in Unit::tested() {
                let mut c = vec![f32::NAN; m * n];
                let b = matrix(&b, k, n, transposed.1, gap);
                product_bf16(unit, a, b, Output::replace(&mut c));
                let mut d = vec![1.0; m * n];
                let halves = matrix(&halves, k, n, transposed.1, gap);
                product_bf16(unit, a, halves, Output::new(&mut d, true));
                for i in 0..m * n {
                    assert!((f64::from(c[i]) - expected[i]).abs() < 2e-4, "{m}x{n}x{k} at {i}");
                    assert!((d[i] - 1.0 - c[i]).abs() < 1e-4, "{m}x{n}x{k} at {i}, added");
                }
            }
        }
    }
}

#[test]
fn numbers_are_rounded_as_half_rounds_them() {
    let specials = [f32::NAN, f32::INFINITY, f32::MAX, 1.003_906_2, 1.011_718_8, -0.0, 1e-40];
    for number in specials.into_iter().chain(uniform(5, 1000)) {
        let mut out = [0];
        f32::write_rounded(&[number], &mut out);
        assert_eq!(out[0], half::bf16::from_f32(number).to_bits(), "{number}");
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_row_and_column() {
    let (m, n, k) = (6, 11, 9);
    let (mut a, mut b) = (uniform(1, m * k), uniform(2, k * n));
    a[k] = f32::NAN;
    b[3] = f32::INFINITY;
    for product in PRODUCTS {
        let mut c = vec![f32::NAN; m * n];
        product(Matrix::new(&a, m, k, k), Matrix::new(&b, k, n, n), Output::replace(&mut c), false);
        for (i, c) in c.iter().enumerate() {
            assert_eq!(c.is_finite(), i / n != 1 && i % n != 3, "at {i}");
        }
    }
    for unit in Unit::tested() {
        let mut c = vec![f32::NAN; m * n];
        product_bf16(
            unit,
            Matrix::new(&a, m, k, k),
            Matrix::new(&b, k, n, n),
            Output::replace(&mut c),
        );
        for (i, c) in c.iter().enumerate() {
            assert_eq!(c.is_finite(), i / n != 1 && i % n != 3, "at {i} by {unit:?}");
        }
    }
}

#[test]
fn an_empty_sum_is_zero() {
    let mut c = [f32::NAN; 6];
    product(Matrix::new(&[], 2, 0, 0), Matrix::new(&[], 0, 3, 3), Output::replace(&mut c));
    assert_eq!(c, [0.0; 6]);
}

#[test]
fn threads_do_not_change_the_bits() {
    let on = |threads: usize, work: &(dyn Fn() -> Vec<f32> + Sync)| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(work)
    };
    for (m, n, k) in
        [(96, 200, 333), (1024, 576, 64), (7, 1000, 513), (257, 65, 1536), (1, 576, 576)]
    {
        let (a, b) = (uniform(3, m * k), uniform(4, n * k));
        for product in PRODUCTS {
            let run = || {
                let mut c = vec![0.0; m * n];
                product(
                    Matrix::new(&a, m, k, k),
                    Matrix::new(&b, n, k, k).transposed(),
                    Output::replace(&mut c),
                    true,
                );
                c
            };
            let one = on(1, &run);
            for threads in [2, 3, 8] {
                assert!(on(threads, &run) == one, "{m}x{n}x{k} differs on {threads} threads");
            }
        }
        for unit in Unit::tested() {
            let run = || {
                let mut c = vec![0.0; m * n];
                let b = Matrix::new(&b, n, k, k).transposed();
                product_bf16(unit, Matrix::new(&a, m, k, k), b, Output::replace(&mut c));
                c
            };
            let one = on(1, &run);
            for threads in [2, 3, 8] {
                let same = on(threads, &run) == one;
                assert!(same, "{m}x{n}x{k} by {unit:?} differs on {threads} threads");
            }
        }
    }
}

#[test]
fn stored_weights_give_the_same_bits_on_any_number_of_threads() {
    let (tokens, rows, width) = (190, 170, 1792);
    let mut bytes = vec![0; Format::Q4_1.bytes(rows * width)];
    encode(Format::Q4_1, &uniform(1, rows * width), &mut bytes);
    let places = (rows * width) as u32;
    // The first and the last weight have deltas too.
    let indices = [vec![0], positions(2, 1, 3000, places - 1), vec![places - 1]].concat();
    let values = uniform(3, indices.len());
    let stored = StoredMatrix::new(Format::Q4_1, &bytes, (&indices, &values), [rows, width]);
    let (x, grad_y) = (uniform(4, tokens * width), uniform(5, tokens * rows));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool").install(|| {
            let (mut y, mut grad_x) = (vec![0.0; tokens * rows], vec![1.0; tokens * width]);
            let x = Matrix::new(&x, tokens, width, width);
            product_stored(x, stored.transposed(), Output::replace(&mut y));
            let grad_y = Matrix::new(&grad_y, tokens, rows, rows);
            product_stored(grad_y, stored, Output::new(&mut grad_x, true));
            (y, grad_x)
        })
    };
    let one = on(1);
    for threads in [2, 3, 40] {
        assert!(on(threads) == one, "other bits on {threads} threads");
    }
}

#[test]
fn what_an_earlier_product_left_is_in_none_after_it() {
    let (m, n, k) = (14, 64, 300);
    let nothing = vec![f32::NAN; k * m.max(n)];
    let mut c = vec![0.0; m * n];
    product(
        Matrix::new(&nothing, m, k, k),
        Matrix::new(&nothing, k, n, n),
        Output::replace(&mut c),
    );
    assert!(c.iter().all(|c| c.is_nan()));
    let (a, b) = (uniform(1, 3 * 5), uniform(2, 5 * 7));
    let (a, b) = (Matrix::new(&a, 3, 5, 5), Matrix::new(&b, 5, 7, 7));
    let mut c = vec![f32::NAN; 3 * 7];
    product(a, b, Output::replace(&mut c));
    for (c, expected) in c.iter().zip(reference(a, b)) {
        assert!((f64::from(*c) - expected).abs() < 1e-5);
    }
}

#[test]
fn stored_weights_give_the_bits_of_decoded_ones() {
    for &format in Format::ALL {
        let block = format.block_elements();
        // More rows and columns than a block of either has.
        for (tokens, rows, width) in
            [(1, 1, 1), (15, 33, 3), (30, 1570, 2), (3, 70, 1792 / block.min(256))]
        {
            let width = width * block;
            let mut weights = uniform(1, rows * width);
            let mut bytes = vec![0; format.bytes(weights.len())];
            encode(format, &weights, &mut bytes);
            let count = weights.len() / 20;
            let indices = positions(2, 0, count, weights.len() as u32);
            let deltas: (&[u32], &[f32]) = (&indices, &uniform(3, count));
            materialise(format, &bytes, deltas, &mut weights);
            let stored = StoredMatrix::new(format, &bytes, deltas, [rows, width]);
            let dense = Matrix::new(&weights, rows, width, width);
            let (x, grad_y) = (uniform(4, tokens * width), uniform(5, tokens * rows));
            let (x, grad_y) =
                (Matrix::new(&x, tokens, width, width), Matrix::new(&grad_y, tokens, rows, rows));
            let mut y = [vec![f32::NAN; tokens * rows], vec![f32::NAN; tokens * rows]];
            streamed::product(x, stored.transposed(), Output::replace(&mut y[0]), true);
            streamed::product(x, dense.transposed(), Output::replace(&mut y[1]), true);
            assert!(y[0] == y[1], "{format:?} {tokens}x{rows}x{width}");
            let mut grad_x = [vec![1.0; tokens * width], vec![1.0; tokens * width]];
            streamed::product(grad_y, stored, Output::new(&mut grad_x[0], true), true);
            streamed::product(grad_y, dense, Output::new(&mut grad_x[1], true), true);
            assert!(grad_x[0] == grad_x[1], "{format:?} {tokens}x{rows}x{width}, backward");
        }
    }
}

#[test]
fn numbers_are_rounded_to_the_nearest_even_in_every_task() {
    let special = [f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE, 1.0e-40, f32::MAX];
    let mut numbers = uniform(1, crate::parallel::ELEMENTS_PER_TASK + 77);
    numbers.extend(special);
    let mut rounded = vec![half::bf16::ZERO; numbers.len()];
    round_to_bf16(&numbers, &mut rounded);
    for (number, rounded) in numbers.into_iter().zip(rounded) {
        assert_eq!(rounded.to_bits(), half::bf16::from_f32(number).to_bits(), "{number}");
    }
}
