//! A step that is not logged reads nothing back, and what is read later is what each step would have told.

use super::fixture::{self, TOKENS, UPDATE, micro_batch};
use super::native::gpus;
use crate::device::GpuDevice;
use crate::protocol::{GrowthCriterion, OptimizerUpdate, UpdateInfo};
use crate::session::Session;
use crate::training::ReselectionPlan;
use pollster::block_on;
use serde_json::json;
use spiel_kernels::ops::linear::Tiling;

const MODULES: [&str; 2] = ["model.layers.0.mlp.up_proj", "model.layers.1.self_attn.q_proj"];

/// A way to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Gradients,
    Momentum,
    Full,
}

fn session(gpu: GpuDevice, method: Method) -> Session<GpuDevice> {
    let is_full = method == Method::Full;
    let modules = MODULES.iter().filter(|_| !is_full);
    let deltas: Vec<_> = modules.map(|module| json!({ "module": module, "count": 20 })).collect();
    let options = fixture::options(&json!({
        "trainable": if is_full { "weights" } else { "deltas" }, "deltas": deltas,
        "candidates": method == Method::Gradients,
        "optimizer": if method == Method::Momentum { "sm3" } else { "adamw" },
    }));
    fixture::session(gpu, &fixture::config(&json!({})), options)
}

/// A step of two micro-batches.
fn step(session: &mut Session<GpuDevice>, number: u32, loss_scale: f64) {
    let (shape, payload) = micro_batch(TOKENS, &[0, 5]);
    for _ in 0..2 {
        block_on(session.forward_backward(shape, loss_scale, &payload)).expect("a pass");
    }
    let update = OptimizerUpdate { step: number, ..UPDATE };
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

/// Programs that stage operands in workgroup memory, and those that do not, add in other orders.
#[test]
fn both_tilings_train_alike() {
    for method in [Method::Gradients, Method::Momentum, Method::Full] {
        for number in 0..gpus().len() {
            let [shared, registers] = [Tiling::Shared, Tiling::Registers].map(|tiling| {
                let gpu = gpus().swap_remove(number);
                gpu.tile_by(tiling);
                let mut session = session(gpu, method);
                for number in 1..4 {
                    step(&mut session, number, 0.1);
                }
                update_info(&session)
            });
            let alike = |a: Option<f64>, b: Option<f64>| {
                let (a, b) = (a.expect("finite"), b.expect("finite"));
                assert!((a - b).abs() <= 1e-5 * b.abs(), "{method:?}: {a} and {b}");
            };
            alike(shared.loss, registers.loss);
            alike(shared.grad_norm, registers.grad_norm);
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
            session.start_anew();
            step(&mut session, 2, 0.1);
            assert_eq!(update_info(&session).failed_step, None, "{method:?}");
            assert!(trained(&session) != before, "{method:?}");
        }
    }
}
