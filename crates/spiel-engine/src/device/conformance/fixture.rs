//! Sessions that tests train: one small model, or what they say otherwise.

use crate::device::GpuDevice;
use crate::protocol::{BatchShape, ModelConfig, ModelOptions, OptimizerUpdate};
use crate::session::Session;
use serde_json::{Value, from_value, json};

/// Tokens of the largest micro-batch.
pub(super) const TOKENS: u32 = 12;

/// A step's numbers.
pub(in crate::device) const UPDATE: OptimizerUpdate = OptimizerUpdate {
    learning_rate: 0.01,
    weight_decay: 0.0,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    max_grad_norm: 1.0,
    step: 1,
};

/// The small model with these changes of its configuration.
pub(in crate::device) fn config(changes: &Value) -> ModelConfig {
    let small = json!({
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "vocab_size": 40, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": false,
        "attention_bias": false, "qk_norm": false, "sliding_window": null,
    });
    from_value(changed(small, changes)).expect("a configuration")
}

/// SpIEL-AG without any deltas, with these changes.
pub(in crate::device) fn options(changes: &Value) -> ModelOptions {
    let by_gradients = json!({
        "formats": [], "trainable": "deltas", "deltas": [], "candidates": true,
        "optimizer": "adamw", "microBatchTokens": TOKENS, "activationCheckpointing": "none",
        "memoryBudget": null,
    });
    from_value(changed(by_gradients, changes)).expect("options")
}

/// A session whose weights and deltas are not there yet.
pub(in crate::device) fn opened(
    gpu: GpuDevice,
    config: &ModelConfig,
    options: ModelOptions,
) -> Session<GpuDevice> {
    Session::new(gpu, config, options).map_err(|(_, error)| error).expect("a session")
}

/// A session with random weights, and deltas at random positions.
pub(super) fn session(
    gpu: GpuDevice,
    config: &ModelConfig,
    options: ModelOptions,
) -> Session<GpuDevice> {
    let mut session = opened(gpu, config, options);
    session.tensor_init(1, 0.02).expect("weights");
    for delta in session.options.deltas.clone() {
        session.delta_attach(&delta.module, delta.count, 1, &[]).expect("deltas");
    }
    session
}

/// The fields of `all`, with those that `changes` names as it has them.
fn changed(mut all: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("fields") {
        all[name] = value.clone();
    }
    all
}

/// A micro-batch of sequences that begin at these tokens.
pub(in crate::device) fn micro_batch(tokens: u32, starts: &[u32]) -> (BatchShape, Vec<u8>) {
    let ids = (0..tokens).chain(1..=tokens);
    let words: Vec<u32> = ids.chain(starts.iter().copied()).chain([tokens]).collect();
    let shape = BatchShape { tokens, sequences: starts.len() as u32 };
    (shape, bytemuck::cast_slice(&words).to_vec())
}
