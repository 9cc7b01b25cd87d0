//! Loading takes little beside the weights themselves. Alone in its process, whose allocations it counts.
#![cfg(feature = "native")]

#[path = "support/counting.rs"]
mod counting;

use counting::{LIVE, PEAK, ask, exchange, open, planned, since};
use serde_json::{Value, json};
use spiel_engine::Engine;
use spiel_engine::protocol::{ModelPlan, TensorInfo, WeightFormat};
use std::sync::atomic::Ordering::Relaxed;

/// Weights in bf16 that are handed over at once, as `src/model/load.ts` does: 4 MiB.
const PART: u32 = 2 << 20;
const MODULES: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

/// A base in bf16 whose layers are held as `format`.
fn model(format: &str) -> Value {
    let ends = ["model.embed_tokens", "lm_head"].map(|name| (name.to_owned(), "bf16"));
    let layers = (0..2)
        .flat_map(|layer| MODULES.map(|module| (format!("model.layers.{layer}.{module}"), format)));
    let formats: Vec<_> = ends
        .into_iter()
        .chain(layers)
        .map(|(name, format)| json!({ "name": format!("{name}.weight"), "format": format }))
        .collect();
    json!({
        "op": "modelCreate", "dryRun": false,
        "config": {
            "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 2,
            "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 64,
            "vocab_size": 16384, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": false,
            "attention_bias": false, "qk_norm": false, "sliding_window": null,
        },
        "options": {
            "formats": formats, "trainable": "nothing", "deltas": [], "candidates": false,
            "optimizer": "adamw", "microBatchTokens": 1,
            "activationCheckpointing": "none", "memoryBudget": null,
        },
    })
}

/// Writes a tensor that a file has in bf16, or in f32 for vectors.
fn load(engine: &mut Engine, tensor: &TensorInfo) {
    let TensorInfo { name, format, shape, .. } = tensor;
    let elements: u32 = shape.iter().product();
    if *format == WeightFormat::F32 {
        let write = json!({ "op": "tensorWrite", "name": name, "offset": 0 });
        ask(engine, &write, &vec![0; elements as usize * 4]);
        return;
    }
    let mut offset = 0;
    for first in (0..elements).step_by(PART as usize) {
        let count = PART.min(elements - first);
        // Of 1.5 each.
        let part = [0xC0, 0x3F].repeat(count as usize);
        let part = if *format == WeightFormat::Bf16 {
            part
        } else {
            let convert =
                json!({ "op": "convert", "from": "bf16", "to": format, "elements": count });
            exchange(engine, &convert, &part).1
        };
        ask(engine, &json!({ "op": "tensorWrite", "name": name, "offset": offset }), &part);
        offset += part.len();
    }
    if *format == WeightFormat::Nf4 {
        ask(engine, &json!({ "op": "tensorQuantizeScales", "name": name }), &[]);
    }
}

fn weights_of(plan: &ModelPlan) -> u64 {
    plan.memory.rows.iter().find(|row| row.purpose == "weights").map_or(0, |row| row.bytes)
}

#[test]
fn loading_holds_a_tenth_more_than_the_weights_and_one_tensor() {
    let mut engine = open();
    let base = LIVE.load(Relaxed);
    for format in ["bf16", "nf4", "q8_0", "q4_0"] {
        let plan = planned(ask(&mut engine, &model(format), &[]));
        PEAK.store(LIVE.load(Relaxed), Relaxed);
        for tensor in &plan.tensors {
            load(&mut engine, tensor);
        }
        let weights = weights_of(&plan);
        let for_computing = plan.memory.total_bytes - weights;
        let stored = plan
            .tensors
            .iter()
            .map(|tensor| 2 * tensor.shape.iter().map(|size| u64::from(*size)).product::<u64>());
        let most = weights + weights / 10 + stored.max().unwrap_or(0);
        let peak = since(base, &PEAK) - for_computing;
        assert!(peak <= most, "{format}: {peak} for {weights}, over {most}");
    }
}
