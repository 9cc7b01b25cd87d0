use crate::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut};

/// y += x, of equal length.
pub fn add(x: &[f32], y: &mut [f32]) {
    chunks_mut(y, TASK, |task, y| {
        for (y, x) in y.iter_mut().zip(&x[task * TASK..]) {
            *y += x;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_adds_its_own() {
        let x: Vec<f32> = (0..2 * TASK + 3).map(|i| i as f32).collect();
        let mut y = vec![1.0; x.len()];
        add(&x, &mut y);
        assert!(y.iter().enumerate().all(|(i, y)| *y == i as f32 + 1.0));
    }
}
