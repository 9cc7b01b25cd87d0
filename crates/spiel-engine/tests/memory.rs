//! A plan is what a model then holds. Alone in its process, whose allocations it counts.
#![cfg(feature = "native")]

#[path = "support/counting.rs"]
mod counting;

use counting::{LARGEST, LIVE, PEAK, ask, open, planned, since};
use serde_json::{Value, json};
use spiel_engine::Engine;
use spiel_engine::protocol::MemoryTable;
use std::sync::atomic::Ordering::Relaxed;

/// What operations take while they run, whatever the model's size: blocks of scores per thread, and here the lists of one
/// small module's deltas.
const PASSING: u64 = 4 << 20;
/// Lists of tasks and names, and scores of a block of queries: what a step may allocate at a time.
const SMALL: u64 = 64 << 10;
const LAYERS: u32 = 3;
const TOKENS: u32 = 128;
/// Names inside a block, and shapes.
const MODULES: [(&str, u32); 7] = [
    ("self_attn.q_proj", 256 * 256),
    ("self_attn.k_proj", 128 * 256),
    ("self_attn.v_proj", 128 * 256),
    ("self_attn.o_proj", 256 * 256),
    ("mlp.gate_proj", 704 * 256),
    ("mlp.up_proj", 704 * 256),
    ("mlp.down_proj", 256 * 704),
];

/// The share of weights that have a delta: few, and so many that their gradients come from dense tiles.
const DENSITIES: [f64; 2] = [0.024, 0.2];

fn modules(density: f64) -> impl Iterator<Item = (String, u32)> {
    (0..LAYERS).flat_map(move |layer| {
        MODULES.map(|(name, weights)| {
            (format!("model.layers.{layer}.{name}"), (f64::from(weights) * density) as u32)
        })
    })
}

fn model((format, checkpointing, density): (&str, &str, f64), dry_run: bool) -> Value {
    let ends = if format == "nf4" { "bf16" } else { format };
    let ends = ["model.embed_tokens", "lm_head"].map(|name| (name.to_owned(), ends));
    let formats: Vec<_> = ends
        .into_iter()
        .chain(modules(density).map(|(name, _)| (name, format)))
        .map(|(name, format)| json!({ "name": format!("{name}.weight"), "format": format }))
        .collect();
    let deltas: Vec<_> = modules(density)
        .map(|(module, count)| json!({ "module": module, "count": count }))
        .collect();
    json!({
        "op": "modelCreate", "dryRun": dry_run,
        "config": {
            "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": LAYERS,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
            "vocab_size": 1024, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": false,
            "attention_bias": false, "qk_norm": false, "sliding_window": null,
        },
        "options": {
            "formats": formats, "trainable": "deltas", "deltas": deltas, "candidates": true,
            "optimizer": "adamw", "microBatchTokens": TOKENS,
            "activationCheckpointing": checkpointing, "memoryBudget": null, "precision": "f32",
        },
    })
}

/// A step in a selection window, and the reselection.
fn train(engine: &mut Engine, step: u32) {
    ask(engine, &json!({ "op": "candidatesBegin" }), &[]);
    take_step(engine, step);
    ask(
        engine,
        &json!({
            "op": "deltaReselect", "criterion": "accumulatedGradients", "rate": 1.0,
            "gradientAccumulationSteps": 1, "beta1": 0.9, "beta2": 0.999,
        }),
        &[],
    );
}

fn take_step(engine: &mut Engine, step: u32) {
    let batch: Vec<u32> = (0..TOKENS).chain(1..=TOKENS).chain([0, TOKENS]).collect();
    let shape = json!({ "tokens": TOKENS, "sequences": 1 });
    let backward = json!({ "op": "forwardBackward", "batch": shape, "lossScale": 1.0 });
    ask(engine, &backward, bytemuck::cast_slice(&batch));
    ask(
        engine,
        &json!({ "op": "optimizerStep", "update": {
            "learningRate": 0.1, "weightDecay": 0.0, "beta1": 0.9, "beta2": 0.999,
            "epsilon": 1e-8, "maxGradNorm": 1.0, "step": step,
        }}),
        &[],
    );
}

/// What the plan says that operations hold.
fn of_operations(plan: &MemoryTable) -> u64 {
    plan.rows.iter().filter(|row| row.purpose == "held by operations").map(|row| row.bytes).sum()
}

const FORMATS: [&str; 3] = ["bf16", "nf4", "q4_0"];
const CHECKPOINTING: [&str; 2] = ["none", "block"];

#[test]
fn a_model_holds_what_was_planned_through_steps_and_their_reselections() {
    let mut engine = open();
    let empty = LIVE.load(Relaxed);
    // Threads keep what they pack, once they have made a product.
    let product =
        json!({ "op": "productRun", "tokens": 2048, "inputs": 256, "outputs": 2048, "repeats": 8 });
    ask(&mut engine, &product, &[]);
    let base = LIVE.load(Relaxed);
    let kept = base - empty;
    let cases = || {
        let kinds = FORMATS.into_iter().flat_map(|format| CHECKPOINTING.map(|kept| (format, kept)));
        kinds.flat_map(|(format, kept)| DENSITIES.map(|density| (format, kept, density)))
    };
    for case in cases() {
        let plan = planned(ask(&mut engine, &model(case, true), &[])).memory;
        let made = planned(ask(&mut engine, &model(case, false), &[])).memory;
        let held = since(base, &LIVE);
        assert_eq!(made.total_bytes, plan.total_bytes);
        let scratch = of_operations(&plan);
        // With columns of formats that are stored in longer blocks, threads would keep half as much again.
        assert!((scratch / 2..=scratch).contains(&kept), "{kept} of {scratch}");
        let total = plan.total_bytes - scratch;
        // Names and lists of buffers come on top.
        assert!((total..total + total / 100).contains(&held), "{case:?}: {held} of {total}");
    }
    for case in cases() {
        let plan = planned(ask(&mut engine, &model(case, false), &[])).memory;
        let total = plan.total_bytes - of_operations(&plan);
        ask(&mut engine, &json!({ "op": "tensorInit", "seed": 1, "std": 0.02 }), &[]);
        for (module, count) in modules(case.2) {
            let attach =
                json!({ "op": "deltaAttach", "module": module, "count": count, "seed": 1 });
            ask(&mut engine, &attach, &[]);
        }
        // The first steps also make what threads keep for the next: each its own, once it takes part in an operation.
        train(&mut engine, 1);
        PEAK.store(LIVE.load(Relaxed), Relaxed);
        let growth = (2..6).map(|step| {
            let before = since(base, &LIVE);
            train(&mut engine, step);
            since(base, &LIVE).saturating_sub(before)
        });
        let growth = growth.min().unwrap_or(0);
        let peak = since(base, &PEAK);
        let most = total + total / 100 + PASSING;
        assert!(peak <= most, "{case:?}: {peak} of {total}");
        assert!(growth <= total / 1000, "{case:?}: every step leaves {growth} bytes or more");
        let largest = (6..10).map(|step| {
            LARGEST.store(0, Relaxed);
            take_step(&mut engine, step);
            LARGEST.load(Relaxed)
        });
        let largest = largest.min().unwrap_or(0);
        assert!(largest <= SMALL, "{case:?}: every step allocates {largest} bytes at a time");
    }
}
