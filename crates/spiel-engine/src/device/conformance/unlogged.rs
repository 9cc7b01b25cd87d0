//! A step that is not logged reads nothing back, and what is read later is what each step would have told.

use super::native::gpus;
use crate::device::GpuDevice;
use crate::protocol::{
    BatchShape, GrowthCriterion, ModelConfig, ModelOptions, OptimizerUpdate, UpdateInfo,
};
use crate::session::Session;
use crate::training::ReselectionPlan;
use pollster::block_on;
use serde_json::{from_value, json};

const TOKENS: u32 = 12;
const MODULES: [&str; 2] = ["model.layers.0.mlp.up_proj", "model.layers.1.self_attn.q_proj"];

/// A way to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Gradients,
    Momentum,
    Full,
}

fn session(gpu: GpuDevice, method: Method) -> Session<GpuDevice> {
    let config: ModelConfig = from_value(json!({
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "vocab_size": 40, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": false,
        "attention_bias": false, "qk_norm": false, "sliding_window": null,
    }))
    .expect("a configuration");
    let is_full = method == Method::Full;
    let deltas: Vec<_> = MODULES
        .iter()
        .filter(|_| !is_full)
        .map(|module| json!({ "module": module, "count": 20 }))
        .collect();
    let options: ModelOptions = from_value(json!({
        "formats": [], "trainable": if is_full { "weights" } else { "deltas" }, "deltas": deltas,
        "candidates": method == Method::Gradients,
        "optimizer": if method == Method::Momentum { "sm3" } else { "adamw" },
        "microBatchTokens": TOKENS, "activationCheckpointing": "none", "memoryBudget": null,
    }))
    .expect("options");
    let session = Session::new(gpu, &config, options).map_err(|(_, error)| error);
    let mut session = session.expect("a session");
    session.tensor_init(1, 0.02).expect("weights");
    for module in MODULES.iter().filter(|_| !is_full) {
        session.delta_attach(module, 20, 1, &[]).expect("deltas");
    }
    session
}

/// A step of two micro-batches.
fn step(session: &mut Session<GpuDevice>, number: u32, loss_scale: f64) {
    let words: Vec<u32> = (0..TOKENS).chain(1..=TOKENS).chain([0, 5, TOKENS]).collect();
    let payload: Vec<u8> = bytemuck::cast_slice(&words).to_vec();
    let shape = BatchShape { tokens: TOKENS, sequences: 2 };
    for _ in 0..2 {
        block_on(session.forward_backward(shape, loss_scale, &payload)).expect("a pass");
    }
    let update = OptimizerUpdate {
        learning_rate: 0.01,
        weight_decay: 0.0,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        max_grad_norm: 1.0,
        step: number,
    };
    block_on(session.optimizer_step(&update)).expect("an update");
}

fn update_info(session: &Session<GpuDevice>) -> UpdateInfo {
    block_on(session.update_info()).expect("what the updates came to")
}

#[test]
fn steps_that_are_not_logged_read_nothing_back() {
    for method in [Method::Gradients, Method::Momentum, Method::Full] {
        for gpu in gpus() {
            let mut session = session(gpu, method);
            let read_backs = |session: &Session<GpuDevice>| session.device.counters().read_backs;
            let before = read_backs(&session);
            step(&mut session, 1, 0.1);
            // The steps of a window: one chooses candidates, the others accumulate at them.
            session.window_samples = (method == Method::Gradients).then_some(0);
            for number in 2..5 {
                step(&mut session, number, 0.1);
            }
            assert_eq!(read_backs(&session), before, "{method:?}");
            if method != Method::Full {
                let plan = ReselectionPlan {
                    criterion: match method {
                        Method::Momentum => GrowthCriterion::MomentumApproximation,
                        _ => GrowthCriterion::AccumulatedGradients,
                    },
                    rate: 0.5,
                    gradient_accumulation_steps: 2,
                    betas: (0.9, 0.999),
                };
                // A reselection is always logged: how many deltas of each module moved, in one read-back.
                let modules = block_on(session.reselect(&plan)).expect("a reselection").modules;
                assert!(modules.iter().all(|module| module.replaced > 0), "{modules:?}");
                assert_eq!(read_backs(&session), before + 1, "{method:?}");
            }
            let before = read_backs(&session);
            step(&mut session, 5, 0.1);
            assert_eq!(read_backs(&session), before, "{method:?}");
            let info = update_info(&session);
            assert!(info.grad_norm.is_some_and(|norm| norm > 0.0), "{info:?}");
            assert_eq!((info.failed_step, read_backs(&session)), (None, before + 1));
        }
    }
}

#[test]
fn a_step_that_failed_is_told_later_and_nothing_has_changed_since() {
    for method in [Method::Gradients, Method::Momentum, Method::Full] {
        for gpu in gpus() {
            let mut session = session(gpu, method);
            step(&mut session, 1, 0.1);
            let trained = |session: &Session<GpuDevice>| -> Vec<u8> {
                let deltas = session.deltas().map(|delta| (&delta.values, delta.count));
                let tensors = session.model.tensors().filter(|_| method == Method::Full);
                let arrays = deltas.chain(tensors.map(|tensor| (&tensor.data, tensor.elements())));
                let read = |(buffer, count)| {
                    use crate::device::Memory;
                    block_on(session.device.read(buffer, 0, count * 4)).expect("values")
                };
                arrays.flat_map(read).collect()
            };
            let before = trained(&session);
            step(&mut session, 2, f64::INFINITY);
            step(&mut session, 3, 0.1);
            let info = update_info(&session);
            assert!(info.grad_norm.is_some() && info.loss.is_some(), "{method:?}: {info:?}");
            assert_eq!(info.failed_step, Some(2), "{method:?}");
            assert!(trained(&session) == before, "{method:?}");
        }
    }
}
