//! What a model's numbers must satisfy, and what follows from them.

use crate::error::{Result, invalid};
use crate::protocol::{HiddenAct, LayerAttention, ModelConfig, NormPlacement, Rope, RopeScaling};
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
    check_theta("rope_theta", config.rope_theta)?;
    for (key, number) in [
        ("attn_logit_softcapping", config.attn_logit_softcapping),
        ("final_logit_softcapping", config.final_logit_softcapping),
        ("embedding_multiplier", config.embedding_multiplier),
        ("attention_multiplier", config.attention_multiplier),
    ] {
        if let Some(number) = number.filter(|number| !(*number > 0.0 && number.is_finite())) {
            return Err(invalid!("Model configuration: {key} is {number}, expected above 0"));
        }
    }
    check_layers(config)?;
    let (hidden, widest) = (u64::from(config.hidden_size), widest(config));
    if hidden * u64::from(widest.max(config.vocab_size)) > u64::from(u32::MAX) {
        return Err(invalid!("Model configuration: a matrix has more than {} weights", u32::MAX));
    }
    Ok(())
}

fn check_theta(key: &str, theta: f64) -> Result<()> {
    if theta > 1.0 && theta.is_finite() {
        return Ok(());
    }
    Err(invalid!("Model configuration: {key} is {theta}, expected above 1"))
}

fn check_layers(config: &ModelConfig) -> Result<()> {
    let Some(layers) = &config.layers else { return Ok(()) };
    if layers.len() != config.num_hidden_layers as usize {
        return Err(invalid!(
            "Model configuration: layers has {} entries, expected {}, one per layer",
            layers.len(),
            config.num_hidden_layers
        ));
    }
    for (index, LayerAttention { rope, sliding_window }) in layers.iter().enumerate() {
        if *sliding_window == Some(0) {
            let key = format!("layers[{index}].sliding_window");
            return Err(invalid!("Model configuration: {key} is 0, expected at least 1"));
        }
        if let Some(rope) = rope {
            check_theta(&format!("layers[{index}].rope_theta"), rope.rope_theta)?;
        }
    }
    Ok(())
}

/// The widest output of a block's linear layers.
fn widest(config: &ModelConfig) -> u32 {
    config.intermediate_size.max(config.num_attention_heads.saturating_mul(config.head_dim))
}

/// The shape of the attention of all layers, by the window of those that have no settings of their own.
pub(crate) fn heads(config: &ModelConfig) -> Heads {
    let [heads, kv_heads, head_dim] =
        [config.num_attention_heads, config.num_key_value_heads, config.head_dim]
            .map(|number| number as usize);
    let plain = Heads::new(heads, kv_heads, head_dim);
    Heads {
        window: config.sliding_window.map(|window| window as usize),
        factor: config.attention_multiplier.unwrap_or(plain.factor),
        soft_cap: config.attn_logit_softcapping,
        ..plain
    }
}

/// How a layer attends.
#[derive(Clone, Copy)]
pub(crate) struct Attention {
    pub(crate) heads: Heads,
    /// Which of the model's `ropes` rotates q and k, if any.
    pub(crate) rope: Option<usize>,
}

/// How layer `index` attends.
pub(crate) fn attention_of(config: &ModelConfig, index: u32) -> Attention {
    let heads = heads(config);
    let Some(layer) = config.layers.as_ref().and_then(|layers| layers.get(index as usize)) else {
        return Attention { heads, rope: Some(0) };
    };
    let window = layer.sliding_window.map(|window| window as usize);
    let rope = layer.rope.as_ref().and_then(|rope| ropes(config).iter().position(|it| it == rope));
    Attention { heads: Heads { window, ..heads }, rope }
}

/// The different rotary settings of the layers, in the order in which they first occur.
pub(crate) fn ropes(config: &ModelConfig) -> Vec<Rope> {
    let Some(layers) = &config.layers else {
        let (rope_theta, rope_scaling) = (config.rope_theta, config.rope_scaling.clone());
        return vec![Rope { rope_theta, rope_scaling }];
    };
    let mut ropes: Vec<Rope> = Vec::new();
    for rope in layers.iter().filter_map(|layer| layer.rope.as_ref()) {
        if !ropes.contains(rope) {
            ropes.push(rope.clone());
        }
    }
    ropes
}

/// What the gate of the feed-forward layer goes through.
pub(crate) fn activation_of(config: &ModelConfig) -> Activation {
    match config.hidden_act {
        HiddenAct::Silu => Activation::Silu,
        HiddenAct::GeluPytorchTanh => Activation::GeluTanh,
    }
}

/// Whether a norm stands before each half of a block.
pub(crate) fn norms_before(config: &ModelConfig) -> bool {
    config.norm_placement != NormPlacement::Post
}

/// Whether a norm stands behind each half of a block.
pub(crate) fn norms_behind(config: &ModelConfig) -> bool {
    config.norm_placement != NormPlacement::Pre
}

/// What all norms have in common.
pub(crate) fn norm_of(config: &ModelConfig) -> Norm {
    Norm { epsilon: config.rms_norm_eps, unit_offset: config.norm_unit_offset }
}

/// The rotary frequencies by some settings, `[head_dim / 2]`.
pub(crate) fn frequencies(head_dim: usize, rope: &Rope) -> Vec<f32> {
    let plain = rope::frequencies(head_dim, rope.rope_theta);
    let scaling = rope.rope_scaling.as_ref();
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
    use crate::protocol::NormSpan;

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

    fn frequencies(rope_scaling: Option<RopeScaling>) -> Vec<f32> {
        super::frequencies(128, &Rope { rope_theta: 500_000.0, rope_scaling })
    }

    #[test]
    fn llama3_keeps_high_and_divides_low_frequencies() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        };
        let plain = frequencies(None);
        let scaled = frequencies(Some(scaling));
        assert_eq!(scaled[0].to_bits(), plain[0].to_bits());
        assert!((scaled[63] * 8.0 / plain[63] - 1.0).abs() < 1e-6);
        assert!(scaled.is_sorted_by(|high, low| high > low), "nothing jumps between");
    }

    #[test]
    fn linear_scaling_divides_all_frequencies() {
        let scaling = Some(RopeScaling::Linear { factor: 4.0 });
        let plain = frequencies(None);
        let scaled = frequencies(scaling);
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

    #[test]
    fn layers_share_the_rotary_settings_that_are_equal() {
        let layer = |theta: Option<f64>, sliding_window| LayerAttention {
            rope: theta.map(|rope_theta| Rope { rope_theta, rope_scaling: None }),
            sliding_window,
        };
        let layers = vec![
            layer(Some(1e4), Some(8)),
            layer(None, None),
            layer(Some(1e6), None),
            layer(Some(1e4), Some(9)),
        ];
        let config = ModelConfig { num_hidden_layers: 4, layers: Some(layers), ..config() };
        assert!(check(&config).is_ok());
        assert_eq!(ropes(&config).len(), 2);
        let of = |index| {
            let Attention { heads, rope } = attention_of(&config, index);
            (rope, heads.window)
        };
        let expected = [(Some(0), Some(8)), (None, None), (Some(1), None), (Some(0), Some(9))];
        assert_eq!([0, 1, 2, 3].map(of), expected);
        let error = check(&ModelConfig { num_hidden_layers: 3, ..config }).unwrap_err();
        assert!(error.to_string().ends_with("layers has 4 entries, expected 3, one per layer"));
    }

    #[test]
    fn settings_of_layers_and_numbers_that_no_model_has_are_refused() {
        let layer = |rope_theta, sliding_window| {
            let rope = Some(Rope { rope_theta, rope_scaling: None });
            let layers = vec![LayerAttention { rope, sliding_window }; 2];
            ModelConfig { layers: Some(layers), ..config() }
        };
        let cases = [
            (layer(1e4, Some(0)), "layers[0].sliding_window is 0, expected at least 1"),
            (layer(0.5, None), "layers[0].rope_theta is 0.5, expected above 1"),
            (
                ModelConfig { final_logit_softcapping: Some(0.0), ..config() },
                "final_logit_softcapping is 0, expected above 0",
            ),
            (
                ModelConfig { attention_multiplier: Some(f32::NAN), ..config() },
                "attention_multiplier is NaN, expected above 0",
            ),
        ];
        for (config, expected) in cases {
            let error = check(&config).unwrap_err();
            assert_eq!(error.to_string(), format!("Model configuration: {expected}"));
        }
    }
}
