//! What a model's numbers must satisfy, and what follows from them.

use crate::error::{Result, invalid};
use crate::protocol::{HiddenAct, ModelConfig, RopeScaling};
use spiel_kernels::ops::attention::Heads;
use spiel_kernels::ops::glu::Activation;
use spiel_kernels::ops::rms_norm::Norm;
use spiel_kernels::ops::rope;

/// Largest size of any kind; products of two fit 64 bits.
const MOST: u32 = 1 << 24;
/// Most blocks: far over any model's, few enough that a damaged number is refused before millions are planned.
const MOST_LAYERS: u32 = 4096;

/// Refuses numbers that no model can have.
pub(crate) fn check(config: &ModelConfig) -> Result<()> {
    let positive = [
        ("hidden_size", config.hidden_size),
        ("intermediate_size", config.intermediate_size),
        ("num_hidden_layers", config.num_hidden_layers),
        ("num_attention_heads", config.num_attention_heads),
        ("num_key_value_heads", config.num_key_value_heads),
        ("head_dim", config.head_dim),
        ("vocab_size", config.vocab_size),
        ("max_position_embeddings", config.max_position_embeddings),
        ("sliding_window", config.sliding_window.unwrap_or(1)),
    ];
    for (key, value) in positive {
        if value == 0 {
            return Err(invalid!("Model configuration: {key} is 0, expected at least 1"));
        }
        let most = if key == "num_hidden_layers" { MOST_LAYERS } else { MOST };
        if value > most {
            return Err(invalid!("Model configuration: {key} is {value}, expected at most {most}"));
        }
    }
    let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
    if !heads.is_multiple_of(kv_heads) {
        return Err(invalid!(
            "Model configuration: num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"
        ));
    }
    if !config.head_dim.is_multiple_of(2) {
        return Err(invalid!(
            "Model configuration: head_dim is {}, expected an even number",
            config.head_dim
        ));
    }
    if !(config.rms_norm_eps > 0.0 && config.rms_norm_eps < 1.0) {
        return Err(invalid!(
            "Model configuration: rms_norm_eps is {}, expected 0 to 1",
            config.rms_norm_eps
        ));
    }
    if !(config.rope_theta > 1.0 && config.rope_theta.is_finite()) {
        return Err(invalid!(
            "Model configuration: rope_theta is {}, expected above 1",
            config.rope_theta
        ));
    }
    for (key, cap) in [
        ("attn_logit_softcapping", config.attn_logit_softcapping),
        ("final_logit_softcapping", config.final_logit_softcapping),
    ] {
        if let Some(cap) = cap.filter(|cap| !(*cap > 0.0 && cap.is_finite())) {
            return Err(invalid!("Model configuration: {key} is {cap}, expected above 0"));
        }
    }
    let (hidden, widest) = (u64::from(config.hidden_size), widest(config));
    if hidden * u64::from(widest.max(config.vocab_size)) > u64::from(u32::MAX) {
        return Err(invalid!("Model configuration: a matrix has more than {} weights", u32::MAX));
    }
    Ok(())
}

/// The widest output of a block's linear layers.
fn widest(config: &ModelConfig) -> u32 {
    config.intermediate_size.max(config.num_attention_heads.saturating_mul(config.head_dim))
}

/// The shape of the attention.
pub(crate) fn heads(config: &ModelConfig) -> Heads {
    let [heads, kv_heads, head_dim] =
        [config.num_attention_heads, config.num_key_value_heads, config.head_dim]
            .map(|number| number as usize);
    let window = config.sliding_window.map(|window| window as usize);
    let plain = Heads::new(heads, kv_heads, head_dim);
    Heads { window, soft_cap: config.attn_logit_softcapping, ..plain }
}

/// What the gate of the feed-forward layer goes through.
pub(crate) fn activation_of(config: &ModelConfig) -> Activation {
    match config.hidden_act {
        HiddenAct::Silu => Activation::Silu,
        HiddenAct::GeluPytorchTanh => Activation::GeluTanh,
    }
}

/// What all norms have in common.
pub(crate) fn norm_of(config: &ModelConfig) -> Norm {
    Norm { epsilon: config.rms_norm_eps, unit_offset: config.norm_unit_offset }
}

/// The rotary frequencies, `[head_dim / 2]`.
pub(crate) fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let plain = rope::frequencies(config.head_dim as usize, config.rope_theta);
    let scaling = config.rope_scaling.as_ref();
    plain
        .map(|frequency| scaling.map_or(frequency, |scaling| stretched(scaling, frequency)) as f32)
        .collect()
}

fn stretched(scaling: &RopeScaling, frequency: f64) -> f64 {
    match *scaling {
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => {
            let context = f64::from(original_max_position_embeddings);
            // The turns that the context takes, in units between the two thresholds.
            let turns = context * frequency / std::f64::consts::TAU;
            let kept =
                ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
            frequency * (kept + (1.0 - kept) / factor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{NormPlacement, NormSpan};

    fn config() -> ModelConfig {
        ModelConfig {
            hidden_size: 64,
            intermediate_size: 128,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 128,
            vocab_size: 512,
            max_position_embeddings: 256,
            rms_norm_eps: 1e-5,
            rope_theta: 500_000.0,
            rope_scaling: None,
            tie_word_embeddings: true,
            attention_bias: false,
            qk_norm: false,
            sliding_window: None,
            qk_norm_span: NormSpan::default(),
            norm_placement: NormPlacement::default(),
            layers: None,
            embedding_multiplier: None,
            attention_multiplier: None,
            residual_multiplier: None,
            logits_scaling: None,
            hidden_act: HiddenAct::default(),
            norm_unit_offset: false,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
        }
    }

    #[test]
    fn llama3_keeps_high_and_divides_low_frequencies() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        };
        let plain = frequencies(&config());
        let scaled = frequencies(&ModelConfig { rope_scaling: Some(scaling), ..config() });
        assert_eq!(scaled[0].to_bits(), plain[0].to_bits());
        assert!((scaled[63] * 8.0 / plain[63] - 1.0).abs() < 1e-6);
        assert!(scaled.is_sorted_by(|high, low| high > low), "nothing jumps between");
    }

    #[test]
    fn linear_scaling_divides_all_frequencies() {
        let scaling = Some(RopeScaling::Linear { factor: 4.0 });
        let plain = frequencies(&config());
        let scaled = frequencies(&ModelConfig { rope_scaling: scaling, ..config() });
        assert!(plain.iter().zip(&scaled).all(|(plain, scaled)| *scaled * 4.0 == *plain));
    }

    #[test]
    fn sizes_that_no_model_has_are_refused() {
        assert!(check(&config()).is_ok());
        let most = ModelConfig { num_hidden_layers: MOST_LAYERS, ..config() };
        assert!(check(&most).is_ok());
        for (layers, expected) in
            [(0, "is 0, expected at least 1"), (4097, "is 4097, expected at most 4096")]
        {
            let error = check(&ModelConfig { num_hidden_layers: layers, ..config() }).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("Model configuration: num_hidden_layers {expected}")
            );
        }
        let error = check(&ModelConfig { head_dim: 1 << 25, ..config() }).unwrap_err();
        assert!(error.to_string().ends_with("expected at most 16777216"));
    }
}
