use super::Backward;
use crate::math::{exp_shifted, max, scale};
use crate::parallel::chunks_mut2;
use crate::scratch::{Scratch, with_scratch};

/// The loss of every row: `losses [n]` from `logits [n, V]` and `targets [n]`. The logits are used up.
pub fn cross_entropy(logits: &mut [f32], targets: &[u32], losses: &mut [f32]) {
    let vocab = logits.len() / targets.len().max(1);
    chunks_mut2((logits, vocab.max(1)), (losses, 1), |row, logits, loss| {
        let target = logits[targets[row] as usize];
        let shift = max(logits);
        loss[0] = exp_shifted(logits, shift).ln() + shift - target;
    });
}

/// As [`cross_entropy`], and turns the logits into the gradient.
pub fn cross_entropy_backward(
    logits: &mut [f32],
    targets: &[u32],
    backward: Backward,
    losses: &mut [f32],
) {
    let Backward { scale: loss_scale, soft_cap } = backward;
    let vocab = logits.len() / targets.len().max(1);
    chunks_mut2((logits, vocab.max(1)), (losses, 1), |row, logits, loss| {
        let target = targets[row] as usize;
        let Some(cap) = soft_cap else {
            loss[0] = row_backward(logits, target, loss_scale);
            return;
        };
        with_scratch(Scratch::Slopes, vocab, |slopes| {
            let slopes: &mut [f32] = bytemuck::cast_slice_mut(slopes);
            for (slope, y) in slopes.iter_mut().zip(&*logits) {
                *slope = 1.0 - (y / cap) * (y / cap);
            }
            loss[0] = row_backward(logits, target, loss_scale);
            logits.iter_mut().zip(slopes).for_each(|(grad, slope)| *grad *= *slope);
        });
    });
}

/// Turns a row of logits into its gradient, and returns its loss.
fn row_backward(logits: &mut [f32], target: usize, loss_scale: f32) -> f32 {
    let (shift, chosen) = (max(logits), logits[target]);
    let sum = exp_shifted(logits, shift);
    scale(logits, loss_scale / sum);
    logits[target] -= loss_scale;
    sum.ln() + shift - chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::finite_difference::assert_gradient;
    use crate::ops::soft_cap::soft_cap;
    use crate::random::uniform;

    #[test]
    fn backward_is_the_derivative() {
        let logits: Vec<f32> = uniform(1, 3 * 7).iter().map(|x| x * 4.0).collect();
        let targets = [0, 6, 3];
        let backward = |soft_cap| Backward { scale: 2.5, soft_cap };
        let loss = |logits: &[f32]| {
            let mut losses = vec![0.0; 3];
            cross_entropy(&mut logits.to_vec(), &targets, &mut losses);
            losses.iter().map(|x| 2.5 * f64::from(*x)).sum()
        };
        let (mut grad, mut losses) = (logits.clone(), vec![0.0; 3]);
        cross_entropy_backward(&mut grad, &targets, backward(None), &mut losses);
        assert_gradient("logits", &logits, &grad, loss);
        let capped = |logits: &[f32]| {
            let mut logits = logits.to_vec();
            soft_cap(3.0, &mut logits);
            logits
        };
        let mut grad = capped(&logits);
        cross_entropy_backward(&mut grad, &targets, backward(Some(3.0)), &mut losses);
        assert_gradient("what was capped", &logits, &grad, |logits| loss(&capped(logits)));
    }

    #[test]
    fn huge_logits_stay_finite() {
        let mut losses = vec![0.0; 1];
        cross_entropy(&mut [1e30, -1e30, 5.0], &[0], &mut losses);
        assert!(losses[0].abs() < 1e-6);
    }

    #[test]
    fn a_logit_that_is_not_a_number_shows_in_the_loss() {
        let mut losses = vec![0.0; 1];
        cross_entropy(&mut [1.0, f32::NAN, 5.0], &[0], &mut losses);
        assert!(losses[0].is_nan());
    }
}
