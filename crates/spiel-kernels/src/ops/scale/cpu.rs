use crate::math;
use crate::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut};

/// x *= factor.
pub fn scale(factor: f32, x: &mut [f32]) {
    chunks_mut(x, TASK, |_, x| math::scale(x, factor));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_multiplies_its_own() {
        let mut x: Vec<f32> = (0..2 * TASK + 3).map(|i| i as f32).collect();
        scale(0.5, &mut x);
        assert!(x.iter().enumerate().all(|(i, x)| *x == i as f32 * 0.5));
    }
}
