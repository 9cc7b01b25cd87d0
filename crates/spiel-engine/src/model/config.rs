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
    for (key, multiplier) in [
        ("embedding_multiplier", config.embedding_multiplier),
        ("attention_multiplier", config.attention_multiplier),
        ("residual_multiplier", config.residual_multiplier),
        ("logits_scaling", config.logits_scaling),
        ("attn_logit_softcapping", config.attn_logit_softcapping),
        ("final_logit_softcapping", config.final_logit_softcapping),
    ] {
        if let Some(value) = multiplier.filter(|value| !(*value > 0.0 && value.is_finite())) {
            return Err(invalid!(
                "Model configuration: {key} is {value}, expected a positive number"
            ));
        }
    }
    if config.residual_multiplier.is_some() && config.norm_placement != NormPlacement::Pre {
        return Err(invalid!(
            "Model configuration: residual_multiplier is given with norm_placement {:?}, expected Pre",
            config.norm_placement
        ));
    }
    check_layers(config)?;
    let (hidden, widest) = (u64::from(config.hidden_size), widest(config));
    if hidden * u64::from(widest.max(config.vocab_size)) > u64::from(u32::MAX) {
        return Err(invalid!("Model configuration: a matrix has more than {} weights", u32::MAX));
    }
    Ok(())
}

/// Refuses settings that no layer can have.
fn check_layers(config: &ModelConfig) -> Result<()> {
    let (count, layers) = (config.num_hidden_layers as usize, config.layers.as_deref());
    if let Some(given) = layers.map(<[_]>::len).filter(|given| *given != count) {
        return Err(invalid!(
            "Model configuration: layers has {given} entries, expected {count}, one per layer"
        ));
    }
    let all = layer(config, 0);
    for LayerAttention { rope, sliding_window } in layers.unwrap_or(&[all]) {
        if let Some(window) = sliding_window.filter(|window| !(1..=MOST).contains(window)) {
            return Err(invalid!(
                "Model configuration: sliding_window is {window}, expected 1 to {MOST}"
            ));
        }
        let theta = rope.as_ref().map(|rope| rope.rope_theta);
        if let Some(theta) = theta.filter(|theta| !(*theta > 1.0 && theta.is_finite())) {
            return Err(invalid!("Model configuration: rope_theta is {theta}, expected above 1"));
        }
    }
    Ok(())
}

/// How a layer attends.
pub(crate) fn layer(config: &ModelConfig, index: usize) -> LayerAttention {
    let own = config.layers.as_ref().and_then(|layers| layers.get(index));
    own.cloned().unwrap_or_else(|| {
        let ModelConfig { rope_theta, rope_scaling, sliding_window, .. } = config;
        let rope = Rope { rope_theta: *rope_theta, rope_scaling: rope_scaling.clone() };
        LayerAttention { rope: Some(rope), sliding_window: *sliding_window }
    })
}

/// The different rotary settings of all layers, each once.
pub(crate) fn ropes(config: &ModelConfig) -> Vec<Rope> {
    let mut ropes = Vec::new();
    for rope in (0..config.num_hidden_layers as usize).filter_map(|index| layer(config, index).rope)
    {
        if !ropes.contains(&rope) {
            ropes.push(rope);
        }
    }
    ropes
}

/// The widest output of a block's linear layers.
fn widest(config: &ModelConfig) -> u32 {
    config.intermediate_size.max(config.num_attention_heads.saturating_mul(config.head_dim))
}

/// The shape of a layer's attention; all but the window is the same in every layer.
pub(crate) fn heads(config: &ModelConfig, index: usize) -> Heads {
    let [heads, kv_heads, head_dim] =
        [config.num_attention_heads, config.num_key_value_heads, config.head_dim]
            .map(|number| number as usize);
    let plain = Heads::new(heads, kv_heads, head_dim);
    Heads {
        window: layer(config, index).sliding_window.map(|window| window as usize),
        factor: config.attention_multiplier.unwrap_or(plain.factor),
        soft_cap: config.attn_logit_softcapping,
        ..plain
    }
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
            qk_norm_span: NormSpan::Head,
            norm_placement: NormPlacement::Pre,
            layers: None,
            embedding_multiplier: None,
            attention_multiplier: None,
            residual_multiplier: None,
            logits_scaling: None,
            hidden_act: HiddenAct::Silu,
            norm_unit_offset: false,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
        }
    }

    fn rope(rope_scaling: Option<RopeScaling>) -> Rope {
        Rope { rope_theta: 500_000.0, rope_scaling }
    }

    #[test]
    fn llama3_keeps_high_and_divides_low_frequencies() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        };
        let plain = frequencies(128, &rope(None));
        let scaled = frequencies(128, &rope(Some(scaling)));
        assert_eq!(scaled[0].to_bits(), plain[0].to_bits());
        assert!((scaled[63] * 8.0 / plain[63] - 1.0).abs() < 1e-6);
        assert!(scaled.is_sorted_by(|high, low| high > low), "nothing jumps between");
    }

    #[test]
    fn linear_scaling_divides_all_frequencies() {
        let scaling = Some(RopeScaling::Linear { factor: 4.0 });
        let plain = frequencies(128, &rope(None));
        let scaled = frequencies(128, &rope(scaling));
        assert!(plain.iter().zip(&scaled).all(|(plain, scaled)| *scaled * 4.0 == *plain));
    }

    #[test]
    fn layers_have_what_they_say_and_else_what_the_model_says() {
        let window = ModelConfig { sliding_window: Some(9), ..config() };
        assert_eq!(
            layer(&window, 1),
            LayerAttention { rope: Some(rope(None)), sliding_window: Some(9) }
        );
        assert_eq!(heads(&window, 1).window, Some(9));
        let local = Rope { rope_theta: 10_000.0, rope_scaling: None };
        let layers = vec![
            LayerAttention { rope: Some(local.clone()), sliding_window: Some(5) },
            LayerAttention { rope: None, sliding_window: None },
        ];
        let mixed = ModelConfig { layers: Some(layers), ..window };
        assert_eq!(ropes(&mixed), [local]);
        assert_eq!((heads(&mixed, 0).window, heads(&mixed, 1).window), (Some(5), None));
        assert!(check(&mixed).is_ok());
    }

    #[test]
    fn settings_that_no_layer_has_are_refused() {
        let refusal = |config: ModelConfig| check(&config).unwrap_err().to_string();
        let plain = LayerAttention { rope: None, sliding_window: None };
        let few = ModelConfig { layers: Some(vec![plain.clone()]), ..config() };
        assert_eq!(
            refusal(few),
            "Model configuration: layers has 1 entries, expected 2, one per layer"
        );
        let closed = LayerAttention { sliding_window: Some(0), ..plain.clone() };
        let closed = ModelConfig { layers: Some(vec![plain, closed]), ..config() };
        assert!(refusal(closed).ends_with("sliding_window is 0, expected 1 to 16777216"));
        let flat = ModelConfig { rope_theta: 1.0, ..config() };
        assert!(refusal(flat).ends_with("rope_theta is 1, expected above 1"));
        let nothing = ModelConfig { residual_multiplier: Some(0.0), ..config() };
        assert!(refusal(nothing).ends_with("residual_multiplier is 0, expected a positive number"));
        let open = ModelConfig { final_logit_softcapping: Some(-1.0), ..config() };
        assert!(refusal(open).ends_with("softcapping is -1, expected a positive number"));
        let both = ModelConfig {
            residual_multiplier: Some(0.5),
            norm_placement: NormPlacement::Post,
            ..config()
        };
        assert!(refusal(both).ends_with("norm_placement Post, expected Pre"));
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
