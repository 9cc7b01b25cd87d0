//! What a model's numbers must satisfy, and what follows from them.

use crate::error::{Result, invalid};
use crate::protocol::{ModelConfig, RopeScaling};
use spiel_kernels::ops::attention::Heads;
use spiel_kernels::ops::rope;

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
        if value > 1 << 24 {
            return Err(invalid!(
                "Model configuration: {key} is {value}, expected at most {}",
                1 << 24
            ));
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
    Heads {
        heads: config.num_attention_heads as usize,
        kv_heads: config.num_key_value_heads as usize,
        head_dim: config.head_dim as usize,
        window: config.sliding_window.map(|window| window as usize),
    }
}

/// The rotary frequencies.
pub(crate) fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let scaling = config.rope_scaling.as_ref().map(|scaling| match *scaling {
        RopeScaling::Linear { factor } => rope::RopeScaling::Linear { factor },
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => rope::RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            context: original_max_position_embeddings,
        },
    });
    rope::frequencies(config.head_dim as usize, config.rope_theta, scaling)
}
