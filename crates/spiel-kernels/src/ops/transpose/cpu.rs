use crate::columns::write_columns;

/// `[columns, rows]` of `x [rows, columns]`: what a GPU's transpose has to make.
pub fn transpose(x: &[f32], rows: usize, columns: usize, out: &mut [f32]) {
    write_columns(x, columns, (rows, columns), out, rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_moves() {
        for (rows, columns) in [(1, 1), (5, 70), (70, 5), (64, 33), (100, 100), (0, 3), (3, 0)] {
            let x: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let mut out = vec![-1.0; rows * columns];
            transpose(&x, rows, columns, &mut out);
            for i in 0..rows * columns {
                let (row, column) = (i / columns, i % columns);
                let moved = out[column * rows + row];
                assert_eq!(moved.to_bits(), x[i].to_bits(), "{rows}x{columns}");
            }
        }
    }
}
