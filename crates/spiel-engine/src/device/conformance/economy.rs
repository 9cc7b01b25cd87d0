//! A step reads back what its replies say, and nothing else.

use super::native::gpus;
use crate::device::GpuDevice;
use crate::protocol::{BatchShape, ModelConfig, ModelOptions, OptimizerUpdate};
use crate::session::Session;
use pollster::block_on;
use serde_json::{from_value, json};

const TOKENS: u32 = 12;

fn session(gpu: GpuDevice) -> Session<GpuDevice> {
    let config: ModelConfig = from_value(json!({
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "vocab_size": 40, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": false,
        "attention_bias": false, "qk_norm": false, "sliding_window": null,
    }))
    .expect("a configuration");
    let module = "model.layers.1.self_attn.q_proj";
    let options: ModelOptions = from_value(json!({
        "formats": [], "trainable": "deltas", "deltas": [{ "module": module, "count": 20 }],
        "candidates": true, "optimizer": "adamw", "microBatchTokens": TOKENS,
        "activationCheckpointing": "none", "memoryBudget": null,
    }))
    .expect("options");
    let session = Session::new(gpu, &config, options).map_err(|(_, error)| error);
    let mut session = session.expect("a session");
    session.tensor_init(1, 0.02).expect("weights");
    session.delta_attach(module, 20, 1, &[]).expect("deltas");
    session
}

#[test]
fn a_step_reads_back_its_loss_and_its_norm_alone() {
    for gpu in gpus() {
        let mut session = session(gpu);
        let tokens: Vec<u32> = (0..TOKENS).chain(1..=TOKENS).chain([0, 5, TOKENS]).collect();
        let payload: Vec<u8> = bytemuck::cast_slice(&tokens).to_vec();
        let shape = BatchShape { tokens: TOKENS, sequences: 2 };
        let update = OptimizerUpdate {
            learning_rate: 0.1,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            grad_scale: 1.0,
            step: 1,
        };
        // Both micro-batches of a window: one chooses the candidates, one accumulates.
        session.window_samples = Some(0);
        for _ in 0..2 {
            let before = session.device.counters();
            block_on(session.forward_backward(shape, 1.0, &payload)).expect("a loss");
            let after = session.device.counters();
            assert_eq!(after.read_backs - before.read_backs, 1);
            assert_eq!(after.read_bytes - before.read_bytes, u64::from(TOKENS) * 4);
            session.optimizer_step(&update);
            assert_eq!(session.device.counters().read_backs, after.read_backs);
            block_on(session.grad_norm()).expect("a norm");
            let now = session.device.counters();
            assert_eq!(now.read_backs - after.read_backs, 1);
            assert!(now.dispatches > after.dispatches && now.submissions > before.submissions);
        }
    }
}
