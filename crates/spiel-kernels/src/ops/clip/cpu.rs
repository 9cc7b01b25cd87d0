/// What updates came to and what the gradients' norm makes of them, as it lies in a device's memory.
///
/// The first update whose gradients or loss are not finite is skipped, and so are all after it, until this is cleared: what is
/// trained stays as it was before, however late somebody looks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Clip {
    /// The 2-norm of the last update's gradients.
    pub norm: f64,
    /// The loss that these are the gradients of.
    pub loss: f64,
    /// What the gradients are multiplied by.
    pub factor: f32,
    /// The first update that was skipped, counted from 1; 0 when there was none.
    pub failed_step: u32,
}

impl Clip {
    /// Words that it takes.
    pub const WORDS: usize = 6;

    /// What follows for update `step` from its loss and the norm of its gradients, which may be `max_norm` at most; 0 is no limit.
    /// The factor is that of `clip_grad_norm_` in `torch`, its epsilon included.
    #[must_use]
    pub fn after(self, loss: f64, norm: f64, max_norm: f64, step: u32) -> Self {
        let factor = if max_norm > 0.0 { (max_norm / (norm + 1e-6)).min(1.0) } else { 1.0 };
        let fails = self.failed_step == 0 && !(norm.is_finite() && loss.is_finite());
        let failed_step = if fails { step } else { self.failed_step };
        Self { norm, loss, factor: factor as f32, failed_step }
    }

    /// The factor of the gradients, or none where the update must be skipped.
    #[must_use]
    pub fn scale(self) -> Option<f32> {
        (self.failed_step == 0).then_some(self.factor)
    }

    /// From a device's memory: the norm in two parts, the factor, the step, and the loss in two parts.
    #[must_use]
    pub fn from_words([high, low, factor, failed_step, loss_high, loss_low]: [u32; 6]) -> Self {
        let (norm, loss) = (from_parts([high, low]), from_parts([loss_high, loss_low]));
        Self { norm, loss, factor: f32::from_bits(factor), failed_step }
    }

    /// As [`Self::from_words`] reads it.
    #[must_use]
    pub fn to_words(self) -> [u32; Self::WORDS] {
        let ([high, low], [loss_high, loss_low]) = (to_parts(self.norm), to_parts(self.loss));
        [high, low, self.factor.to_bits(), self.failed_step, loss_high, loss_low]
    }
}

/// A number as the words of two floats whose sum it is.
#[must_use]
pub fn to_parts(number: f64) -> [u32; 2] {
    let high = number as f32;
    let low = if high.is_finite() { (number - f64::from(high)) as f32 } else { 0.0 };
    [high.to_bits(), low.to_bits()]
}

/// As [`to_parts`] wrote it.
#[must_use]
pub fn from_parts(parts: [u32; 2]) -> f64 {
    parts.into_iter().map(|part| f64::from(f32::from_bits(part))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_scaled_down_to_the_limit_and_never_up() {
        let clip = Clip::default();
        assert_eq!(clip.after(1.0, 4.0, 1.0, 1).scale(), Some((1.0 / (4.0 + 1e-6)) as f32));
        assert_eq!(clip.after(1.0, 0.5, 1.0, 1).scale(), Some(1.0));
        assert_eq!(clip.after(1.0, 4.0, 0.0, 1).scale(), Some(1.0));
    }

    #[test]
    fn an_update_that_is_not_finite_ends_all_updates() {
        let clip = Clip::default().after(3.0, 1.0, 1.0, 6);
        let clip = clip.after(2.0, f64::NAN, 1.0, 7).after(4.0, 1.0, 1.0, 8);
        assert_eq!((clip.scale(), clip.failed_step, clip.norm, clip.loss), (None, 7, 1.0, 4.0));
        assert_eq!(Clip::default().after(1.0, f64::INFINITY, 0.0, 3).failed_step, 3);
        assert_eq!(Clip::default().after(f64::NAN, 1.0, 0.0, 3).failed_step, 3);
    }

    #[test]
    fn memory_keeps_norm_and_loss_finer_than_a_float() {
        let clip = Clip::default().after(std::f64::consts::E, std::f64::consts::PI, 1.0, 1);
        let read = Clip::from_words(clip.to_words());
        assert!((read.norm - clip.norm).abs() < 1e-13 && (read.loss - clip.loss).abs() < 1e-13);
        assert_eq!(read.factor.to_bits(), clip.factor.to_bits());
        let failed = Clip::default().after(1.0, f64::NAN, 1.0, 2);
        assert!(Clip::from_words(failed.to_words()).norm.is_nan());
    }
}
