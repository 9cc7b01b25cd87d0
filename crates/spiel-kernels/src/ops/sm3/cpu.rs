use crate::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut, chunks_mut2};

/// Most tasks that the accumulators' pass is cut into; each holds a row of maxima.
const CUTS: usize = 16;

/// The numbers of one update.
#[derive(Debug, Clone, Copy)]
pub struct Sm3 {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay, applied after the update.
    pub weight_decay: f64,
    /// Added inside the root.
    pub epsilon: f64,
}

/// Updates the deltas of one matrix and its accumulators `rows [out]`, `columns [in]`.
///
/// Every delta uses the accumulators as they were before the step; then each accumulator becomes the largest of
/// itself and its deltas' new estimates. Gradients count `grad_scale` times. `estimates` is scratch, one per delta.
pub fn sm3(
    update: &Sm3,
    grad_scale: f32,
    indices: &[u32],
    values: &mut [f32],
    grads: &[f32],
    rows: &mut [f32],
    columns: &mut [f32],
    estimates: &mut [f32],
) {
    let width = columns.len();
    let place = |index: u32| (index as usize / width, index as usize % width);
    chunks_mut(estimates, TASK, |task, estimates| {
        for (i, estimate) in estimates.iter_mut().enumerate() {
            let (row, column) = place(indices[task * TASK + i]);
            let grad = grads[task * TASK + i] * grad_scale;
            *estimate = rows[row].min(columns[column]) + grad * grad;
        }
    });
    chunks_mut2((values, TASK), (&mut *estimates, TASK), |task, values, estimates| {
        for i in 0..values.len() {
            let grad = grads[task * TASK + i] * grad_scale;
            let step = grad / (estimates[i] + update.epsilon as f32).sqrt();
            let stepped = values[i] - update.learning_rate as f32 * step;
            values[i] = stepped - (update.learning_rate * update.weight_decay) as f32 * stepped;
        }
    });
    raise(&*estimates, indices, rows, columns);
}

/// Raises each accumulator to the largest estimate of its deltas. A maximum does not depend on the order, so cuts of
/// the sorted deltas can be taken at any place.
fn raise(estimates: &[f32], indices: &[u32], rows: &mut [f32], columns: &mut [f32]) {
    let width = columns.len();
    let rows_per_task = rows.len().div_ceil(CUTS).max(1);
    let slot = |row: usize| indices.partition_point(|index| (*index as usize) < row * width);
    let mut highest = vec![f32::NEG_INFINITY; rows.len().div_ceil(rows_per_task) * width];
    chunks_mut2((rows, rows_per_task), (&mut highest, width), |task, rows, highest| {
        let first = task * rows_per_task;
        for slot in slot(first)..slot(first + rows.len()) {
            let (row, column) = (indices[slot] as usize / width, indices[slot] as usize % width);
            rows[row - first] = rows[row - first].max(estimates[slot]);
            highest[column] = highest[column].max(estimates[slot]);
        }
    });
    for highest in highest.chunks(width) {
        for (column, highest) in columns.iter_mut().zip(highest) {
            *column = column.max(*highest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{positions, uniform};

    #[test]
    fn accumulators_rise_to_the_largest_estimate_of_their_deltas() {
        let (height, width) = (70, 33);
        let indices = positions(1, 0, 1500, (height * width) as u32);
        let estimates = uniform(2, indices.len());
        let (mut rows, mut columns) = (uniform(3, height), uniform(4, width));
        let (mut expected_rows, mut expected_columns) = (rows.clone(), columns.clone());
        for (index, estimate) in indices.iter().zip(&estimates) {
            let (row, column) = (*index as usize / width, *index as usize % width);
            expected_rows[row] = expected_rows[row].max(*estimate);
            expected_columns[column] = expected_columns[column].max(*estimate);
        }
        raise(&estimates, &indices, &mut rows, &mut columns);
        assert!(rows == expected_rows && columns == expected_columns);
    }

    #[test]
    fn follows_the_formula_by_hand() {
        let update = Sm3 { learning_rate: 0.1, weight_decay: 0.0, epsilon: 0.0 };
        let (mut values, mut rows, mut columns) = ([0.0; 3], [0.0, 9.0], [4.0, 1.0]);
        // Positions (0, 0), (0, 1), (1, 0) of a 2 x 2 matrix.
        sm3(
            &update,
            1.0,
            &[0, 1, 2],
            &mut values,
            &[2.0, 3.0, 0.0],
            &mut rows,
            &mut columns,
            &mut [0.0; 3],
        );
        // Estimates: min(0, 4) + 4, min(0, 1) + 9, min(9, 4) + 0.
        assert_eq!((rows, columns), ([9.0, 9.0], [4.0, 9.0]));
        assert!(
            (values[0] + 0.1).abs() < 1e-7
                && (values[1] + 0.1).abs() < 1e-7
                && values[2].abs() < 1e-7
        );
    }
}
