//! A step reads back what its replies say, and asks nothing of the driver that an earlier step asked.

use super::fixture::{self, TOKENS, UPDATE, micro_batch};
use super::native::gpus;
use crate::device::{BlockOps, GpuDevice, Memory, Qkv};
use crate::protocol::{ForwardOutput, GrowthCriterion, ModelConfig, ModelOptions};
use crate::session::{Session, plan};
use crate::training::ReselectionPlan;
use pollster::block_on;
use serde_json::json;
use spiel_kernels::ops::attention::{Heads, Span};

const MODULE: &str = "model.layers.1.self_attn.q_proj";

fn config() -> ModelConfig {
    fixture::config(&json!({ "attention_bias": true, "qk_norm": true }))
}

fn options() -> ModelOptions {
    fixture::options(&json!({ "deltas": [{ "module": MODULE, "count": 20 }] }))
}

fn session(gpu: GpuDevice) -> Session<GpuDevice> {
    fixture::session(gpu, &config(), options())
}

#[test]
fn a_step_reads_back_its_loss_and_its_norm_at_once() {
    for gpu in gpus() {
        let mut session = session(gpu);
        let (shape, payload) = micro_batch(TOKENS, &[0, 3]);
        // Both micro-batches of a window: one chooses the candidates, one accumulates.
        session.window_samples = Some(0);
        for _ in 0..2 {
            let before = session.device.counters();
            block_on(session.forward_backward(shape, 1.0, &payload)).expect("a pass");
            block_on(session.optimizer_step(&UPDATE)).expect("an update");
            let after = session.device.counters();
            assert_eq!(after.read_backs, before.read_backs);
            assert!(after.dispatches > before.dispatches && after.submissions > before.submissions);
            let info = block_on(session.update_info()).expect("a loss and a norm");
            assert!(info.loss.is_some_and(|loss| loss > 0.0), "{info:?}");
            let now = session.device.counters();
            assert_eq!(now.read_backs - after.read_backs, 1);
            assert_eq!(now.read_bytes - after.read_bytes, 24);
        }
    }
}

/// So many floating-point operations are submitted at once, dispatched at once, or both.
#[test]
fn work_is_submitted_in_parts_and_comes_to_the_same() {
    for gpu in gpus() {
        let (shape, payload) = micro_batch(TOKENS, &[0, 3]);
        let mut session = session(gpu);
        let submissions_and_gradients = |session: &mut Session<GpuDevice>| {
            session.grad_clear();
            let before = session.device.counters().submissions;
            block_on(session.forward_backward(shape, 1.0, &payload)).expect("a pass");
            let submissions = session.device.counters().submissions - before;
            let training = session.deltas().find_map(|delta| delta.training.as_ref());
            let grads = &training.expect("trained deltas").grads;
            (submissions, block_on(session.device.read(grads, 0, 80)).expect("gradients"))
        };
        let (few, expected) = submissions_and_gradients(&mut session);
        session.device.limit_to(100_000, 100_000);
        let (many, grads) = submissions_and_gradients(&mut session);
        // A pass is about 12 tokens times 17,000 weights times 2 for the forward and 2 for the backward pass.
        assert!(few < 10 && (5..30).contains(&(many - few)), "{few}, {many}");
        assert_eq!(grads, expected);
    }
}

/// A step of several micro-batches that opens a window, closes it and reselects.
fn whole_step(session: &mut Session<GpuDevice>) {
    session.window_samples = Some(0);
    for (tokens, starts) in [(TOKENS, &[0, 3][..]), (5, &[0]), (TOKENS, &[0]), (7, &[0, 3])] {
        let (shape, payload) = micro_batch(tokens, starts);
        block_on(session.forward_backward(shape, 1.0, &payload)).expect("a pass");
    }
    block_on(session.optimizer_step(&UPDATE)).expect("an update");
    block_on(session.update_info()).expect("a loss and a norm");
    let plan = ReselectionPlan {
        criterion: GrowthCriterion::AccumulatedGradients,
        rate: 0.5,
        gradient_accumulation_steps: 4,
        betas: (0.9, 0.999),
    };
    block_on(session.reselect(&plan)).expect("a reselection");
}

#[test]
fn attention_of_many_tokens_is_submitted_in_parts() {
    for gpu in gpus() {
        // 80,200 visible pairs of 4 operations for each of 32 entries: eleven dispatches of half the mean or less.
        gpu.limit_to(1_000_000, 1_000_000);
        let tokens = 400;
        let buffer = |words: usize| gpu.allocate(words * 4).expect("memory");
        let [q, k, v, mut out] = [(); 4].map(|()| buffer(tokens * 32));
        let mut log_sums = buffer(tokens * 2);
        let heads = Heads::new(2, 2, 16);
        let span = Span { query_start: 0, query_length: tokens, key_start: 0, key_length: tokens };
        let before = gpu.counters().submissions;
        gpu.attention(Qkv { q: &q, k: &k, v: &v }, heads, &[span], &mut out, &mut log_sums);
        assert!(gpu.counters().submissions - before >= tokens as u64 / 64);
    }
}

#[test]
fn more_deltas_than_a_binding_holds_are_refused_before_anything_is_taken() {
    for gpu in gpus() {
        let most = gpu.most_deltas();
        let count = u32::try_from(most + 1).unwrap_or(u32::MAX);
        if (count as usize) <= most {
            continue;
        }
        let (config, mut options) = (config(), options());
        options.deltas[0].count = count;
        let refused = plan(&gpu, &config, &options).err().map(|error| error.to_string());
        let expected = format!(
            "Module \"{MODULE}\" is to have {count} deltas, expected at most {most} on {}",
            gpu.adapter()
        );
        assert_eq!(refused, Some(expected));
    }
}

#[test]
fn a_step_like_an_earlier_one_makes_nothing() {
    for gpu in gpus() {
        let mut session = session(gpu);
        let made = |session: &Session<GpuDevice>| {
            let counters = session.device.counters();
            [counters.buffers, counters.bind_groups, counters.pipelines]
        };
        let before = made(&session);
        whole_step(&mut session);
        whole_step(&mut session);
        let warm = made(&session);
        assert!(warm.iter().zip(before).all(|(now, before)| *now > before), "{warm:?}");
        for _ in 0..3 {
            whole_step(&mut session);
            assert_eq!(made(&session), warm);
        }
    }
}

#[test]
fn operations_hold_no_more_than_planned() {
    for gpu in gpus() {
        let mut session = session(gpu);
        let trials = block_on(session.try_gradients()).expect("trials").trials;
        assert_eq!(trials.len(), 1);
        for _ in 0..2 {
            whole_step(&mut session);
        }
        let (shape, payload) = micro_batch(TOKENS, &[0]);
        for output in [ForwardOutput::HiddenStates, ForwardOutput::Logits] {
            block_on(session.forward(shape, output, &payload)).expect("a pass");
        }
        let rows = session.memory().rows;
        let planned = rows.iter().find(|row| row.purpose == "held by operations");
        let (pooled, planned) = (session.device.pooled_bytes(), planned.expect("a row").bytes);
        let staging = session.device.counters().largest_staging;
        assert!(pooled > 0 && staging > 0, "{pooled}, {staging}");
        assert!(pooled + staging <= planned, "{pooled} and {staging} of {planned}");
    }
}

#[test]
fn what_is_long_is_read_in_parts() {
    for gpu in gpus() {
        let words: Vec<u32> = (0..9 << 20).collect();
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        let mut buffer = gpu.allocate(bytes.len()).expect("memory");
        gpu.write(&mut buffer, 0, bytes);
        let before = gpu.counters().read_backs;
        let read = block_on(gpu.read(&buffer, 3, bytes.len() - 5)).expect("a read");
        assert!(read == bytes[3..bytes.len() - 2]);
        let after = gpu.counters();
        assert_eq!(after.read_backs - before, 3);
        assert!(after.largest_staging <= 16 << 20, "{}", after.largest_staging);
    }
}

#[test]
fn a_plan_makes_no_buffers() {
    for gpu in gpus() {
        let before = gpu.counters().buffers;
        let planned = plan(&gpu, &config(), &options()).expect("a plan").memory;
        assert_eq!(gpu.counters().buffers, before);
        let session = session(gpu);
        assert_eq!(planned.total_bytes, session.memory().total_bytes);
    }
}

#[test]
fn a_freed_model_is_let_go_of() {
    for gpu in gpus() {
        let mut session = session(gpu);
        whole_step(&mut session);
        assert!(session.device.kept_groups() > 0 && session.device.pooled_bytes() > 0);
        let Session { device, model, workspace, .. } = session;
        drop((model, workspace));
        let _other = device.allocate(4).expect("memory");
        assert_eq!(device.kept_groups(), 0);
        // Only what the last micro-batch uploaded stays.
        assert!(device.pooled_bytes() <= 2 * 256);
    }
}
