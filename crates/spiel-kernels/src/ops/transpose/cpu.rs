use crate::parallel::chunks_mut;

/// Columns of the result that one task writes, and the edge of the square blocks it moves: both sides stay in L1.
const BLOCK: usize = 32;

/// out[c, r] = x[r, c]: `x [rows, columns]`, `out [columns, rows]`.
pub fn transpose(x: &[f32], rows: usize, columns: usize, out: &mut [f32]) {
    chunks_mut(&mut out[..rows * columns], BLOCK * rows.max(1), |task, out| {
        let first = task * BLOCK;
        let width = out.len() / rows;
        for block in (0..rows).step_by(BLOCK) {
            let end = (block + BLOCK).min(rows);
            for row in block..end {
                let source = &x[row * columns + first..][..width];
                for (column, value) in source.iter().enumerate() {
                    out[column * rows + row] = *value;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_moves() {
        for (rows, columns) in [(1, 1), (5, 70), (70, 5), (64, 33), (100, 100)] {
            let x: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let mut out = vec![-1.0; rows * columns];
            transpose(&x, rows, columns, &mut out);
            for i in 0..rows * columns {
                assert_eq!(out[(i % columns) * rows + i / columns].to_bits(), x[i].to_bits());
            }
        }
    }
}
