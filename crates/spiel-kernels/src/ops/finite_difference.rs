//! Central differences, against which every backward function is tested.

/// Asserts that `gradient` is the derivative of `loss` at `x`, entry by entry.
///
/// `loss` must be computed in f32; the step balances its rounding against the curvature.
pub(super) fn assert_gradient(
    name: &str,
    x: &[f32],
    gradient: &[f32],
    mut loss: impl FnMut(&[f32]) -> f64,
) {
    const STEP: f32 = 1e-2;
    assert_eq!(x.len(), gradient.len(), "{name}: one gradient per entry");
    let largest = gradient.iter().fold(1e-3_f32, |m, g| m.max(g.abs()));
    let mut moved = x.to_vec();
    for i in 0..x.len() {
        // A fourth-order stencil keeps the truncation error below f32's rounding.
        let mut at = |factor: f32| {
            moved[i] = x[i] + factor * STEP;
            let value = loss(&moved);
            moved[i] = x[i];
            value
        };
        let numeric =
            (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * f64::from(STEP));
        let error = (numeric - f64::from(gradient[i])).abs() / f64::from(largest);
        assert!(error < 2e-3, "{name}[{i}]: gradient {} but difference {numeric}", gradient[i]);
    }
}

/// Σ x·w in double precision: a scalar loss with gradient `w` in `x`.
pub(super) fn weighted_sum(x: &[f32], w: &[f32]) -> f64 {
    x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
}
