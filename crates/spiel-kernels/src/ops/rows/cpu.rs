use crate::parallel::chunks_mut;

/// out[i] = x[rows[i]], for rows of `width` elements.
pub fn gather_rows(x: &[f32], rows: &[u32], width: usize, out: &mut [f32]) {
    chunks_mut(&mut out[..rows.len() * width], width, |i, out| {
        out.copy_from_slice(&x[rows[i] as usize * width..][..width]);
    });
}

/// Sets out[rows[i]] = x[i]; the rows are different, and all others stay.
pub fn scatter_rows(x: &[f32], rows: &[u32], width: usize, out: &mut [f32]) {
    for (x, row) in x.chunks(width).zip(rows) {
        out[*row as usize * width..][..width].copy_from_slice(x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scatter_puts_gathered_rows_back() {
        let x: Vec<f32> = (0..8).map(|i| i as f32).collect();
        let mut some = vec![0.0; 4];
        gather_rows(&x, &[3, 1], 2, &mut some);
        assert_eq!(some, [6.0, 7.0, 2.0, 3.0]);
        let mut back = vec![9.0; 8];
        scatter_rows(&some, &[3, 1], 2, &mut back);
        assert_eq!(back, [9.0, 9.0, 2.0, 3.0, 9.0, 9.0, 6.0, 7.0]);
    }
}
