//! Gathering and scattering, by rows and by positions.

use super::{Bound, Subject, normal};
use crate::device::{BlockOps, GpuDevice, TrainingOps};
use spiel_kernels::random::positions;

cases! {
    gather_and_scatter_rows,
    deltas_in_place,
}

async fn gather_and_scatter_rows(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (total, first, count, width) in
            [(1, 0, 1, 1), (9, 2, 5, 7), (40, 1, 31, 257), (150, 3, 140, 200)]
        {
            let case = format!("rows {first}+{count} of {total}x{width}");
            conform!(gpu, case, [Bound::Exact; 2], |on| {
                let list: Vec<u32> = (0..total as u32).rev().collect();
                let (rows, x) = (on.holding(&list), on.holding(&normal(1, total * width)));
                let mut some = on.output(count * width);
                on.gather_rows(&x, &rows, first, count, width, &mut some);
                let mut back = on.holding(&normal(2, total * width));
                on.scatter_rows(&some, &rows, first, count, width, &mut back);
                vec![on.taken(&some, count * width).await, on.taken(&back, total * width).await]
            });
        }
    }
}

async fn deltas_in_place(gpus: &[GpuDevice]) {
    for gpu in gpus {
        for (elements, count) in [(1, 0), (1, 1), (1009, 400), (60_000, 7001)] {
            conform!(gpu, format!("{count} of {elements} in place"), [Bound::Exact; 3], |on| {
                let indices = on.holding(&positions(1, 0, count, elements as u32));
                let values = on.holding(&normal(2, count));
                let mut weights = on.holding(&normal(3, elements));
                let mut base = on.output(count);
                on.gather(&weights, &indices, &mut base);
                on.apply_in_place(&indices, &base, &values, &mut weights);
                let applied = on.taken(&weights, elements).await;
                on.restore(&indices, &base, &mut weights);
                vec![on.taken(&base, count).await, applied, on.taken(&weights, elements).await]
            });
        }
    }
}
