//! What the engine makes of requests, checked where no host is needed.
#![cfg(feature = "native")]

use serde_json::{Value, json};
use spiel_engine::Engine;
use spiel_engine::protocol::Reply;
use spiel_kernels::random::fill_normal;

fn ask(engine: &mut Engine, request: &Value) -> (Reply, Vec<u8>) {
    pollster::block_on(engine.handle(request.to_string().as_bytes(), &[]))
}

fn opened() -> Engine {
    let mut engine = Engine::new();
    let request = json!({
        "op": "engineOpen", "device": "cpu", "threads": 2, "gpu": null, "allowSoftware": false,
    });
    assert!(matches!(ask(&mut engine, &request).0, Reply::EngineInfo(_)));
    engine
}

fn model(vocab_size: u32, formats: &Value, deltas: &Value) -> Value {
    json!({
        "op": "modelCreate", "dryRun": false,
        "config": {
            "hidden_size": 65, "intermediate_size": 128, "num_hidden_layers": 1,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
            "vocab_size": vocab_size, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": true,
            "attention_bias": true, "qk_norm": false, "sliding_window": null,
        },
        "options": {
            "formats": formats, "trainable": "deltas", "deltas": deltas, "candidates": false,
            "optimizer": "adamw", "microBatchTokens": 4, "activationCheckpointing": "none",
            "memoryBudget": null,
        },
    })
}

#[test]
fn a_matrix_of_many_parts_is_initialised_as_one() {
    let mut engine = opened();
    // Over a million weights, in rows that are no whole draws of random numbers.
    let rows = 20_000;
    ask(&mut engine, &model(rows, &json!([]), &json!([])));
    ask(&mut engine, &json!({ "op": "tensorInit", "seed": 7, "std": 0.5 }));
    let mut read = |name: &str, rows: u32| -> Vec<f32> {
        let request = json!({
            "op": "tensorRead", "name": name, "row": 0, "rows": rows, "format": "f32", "merged": true,
        });
        bytemuck::pod_collect_to_vec(&ask(&mut engine, &request).1)
    };
    let mut expected = vec![0.0; rows as usize * 65];
    fill_normal(&mut expected, 7, 0, 0, 0.5);
    assert!(read("model.embed_tokens.weight", rows) == expected);
    assert_eq!(read("model.norm.weight", 1), [1.0; 65]);
    assert_eq!(read("model.layers.0.self_attn.q_proj.bias", 1), [0.0; 64]);
}

#[test]
fn scales_are_quantised_of_whole_nf4_tensors_only() {
    let mut engine = opened();
    let name = "model.layers.0.mlp.down_proj.weight";
    ask(&mut engine, &model(16, &json!([{ "name": name, "format": "nf4" }]), &json!([])));
    let quantize = |name: &str, engine: &mut Engine| match ask(
        engine,
        &json!({ "op": "tensorQuantizeScales", "name": name }),
    )
    .0
    {
        Reply::Error(error) => error.message,
        reply => format!("{reply:?}"),
    };
    assert_eq!(quantize(name, &mut engine), format!("Tensor \"{name}\" has 0 of its 4680 bytes"));
    ask(&mut engine, &json!({ "op": "tensorInit", "seed": 7, "std": 0.5 }));
    assert_eq!(quantize(name, &mut engine), "Done");
    let other = "model.layers.0.mlp.up_proj.weight";
    assert_eq!(
        quantize(other, &mut engine),
        format!("Tensor \"{other}\" is F32; only Nf4 has such scales")
    );
}

#[test]
fn names_that_are_there_twice_are_refused() {
    let mut engine = opened();
    let mut refusal =
        |formats: &Value, deltas: &Value| match ask(&mut engine, &model(16, formats, deltas)).0 {
            Reply::Error(error) => error.message,
            reply => panic!("expected an error, got {reply:?}"),
        };
    let format = json!({ "name": "model.embed_tokens.weight", "format": "f16" });
    assert_eq!(
        refusal(&json!([format, format]), &json!([])),
        "Cannot create the model: tensor \"model.embed_tokens.weight\" is named twice"
    );
    let delta = |count: u32| json!({ "module": "model.layers.0.mlp.up_proj", "count": count });
    assert_eq!(
        refusal(&json!([]), &json!([delta(3), delta(4)])),
        "Cannot create the model: linear layer \"model.layers.0.mlp.up_proj\" is named twice"
    );
}
