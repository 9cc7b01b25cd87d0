use crate::formats::{Format, decode};
use crate::parallel::{chunks_mut, rows_per_task};

/// Looks tokens up: `x [T, D]` from `table [V, D]` stored in `format`.
///
/// # Panics
/// When a token is not below V.
pub fn embedding(tokens: &[u32], table: &[u8], format: Format, width: usize, x: &mut [f32]) {
    let row_bytes = format.bytes(width);
    let rows = rows_per_task(width);
    chunks_mut(&mut x[..tokens.len() * width], rows * width, |task, x| {
        for (row, x) in x.chunks_mut(width).enumerate() {
            let token = tokens[task * rows + row] as usize;
            decode(format, &table[token * row_bytes..(token + 1) * row_bytes], x);
        }
    });
}

/// Adds `grad_x [T, D]` to the rows of `grad_table [V, D]` that the tokens name, in the order of the tokens.
pub fn embedding_backward(tokens: &[u32], grad_x: &[f32], width: usize, grad_table: &mut [f32]) {
    for (token, grad) in tokens.iter().zip(grad_x.chunks(width)) {
        let row = &mut grad_table[*token as usize * width..][..width];
        for (sum, grad) in row.iter_mut().zip(grad) {
            *sum += grad;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_up_and_adds_back() {
        let table: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let mut x = vec![0.0; 9];
        embedding(&[2, 0, 2], bytemuck::cast_slice(&table), Format::F32, 3, &mut x);
        assert_eq!(x, [6.0, 7.0, 8.0, 0.0, 1.0, 2.0, 6.0, 7.0, 8.0]);
        let mut grad = vec![0.0; 12];
        embedding_backward(&[2, 0, 2], &x, 3, &mut grad);
        assert_eq!(grad, [0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 12.0, 14.0, 16.0, 0.0, 0.0, 0.0]);
    }
}
