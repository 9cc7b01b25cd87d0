//! The threads that were asked for are all that compute. Alone in its process, whose threads it counts.
#![cfg(all(target_os = "linux", feature = "native"))]
#![expect(clippy::unwrap_used, reason = "a test")]

use spiel_engine::Engine;
use spiel_engine::protocol::Reply;

fn ask(engine: &mut Engine, header: &str, payload: &[u8]) -> Vec<u8> {
    let (reply, bytes) = pollster::block_on(engine.handle(header.as_bytes(), payload));
    assert!(!matches!(reply, Reply::Error(_)), "{header}: {reply:?}");
    bytes
}

fn threads_of_the_process() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn no_request_starts_threads_of_its_own() {
    let model = r#"{"op":"modelCreate","dryRun":false,"config":{"hidden_size":64,"intermediate_size":128,
        "num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"vocab_size":512,
        "max_position_embeddings":256,"rms_norm_eps":1e-5,"rope_theta":10000.0,"rope_scaling":null,
        "tie_word_embeddings":true,"attention_bias":false,"qk_norm":false,"sliding_window":null},
        "options":{"formats":[],"trainable":"deltas","deltas":[{"module":"model.layers.0.mlp.up_proj","count":900}],
        "candidates":true,"optimizer":"adamw","microBatchTokens":256,"activationCheckpointing":"none",
        "memoryBudget":null}}"#;
    let mut engine = Engine::new();
    let before = threads_of_the_process();
    ask(
        &mut engine,
        r#"{"op":"engineOpen","device":"cpu","threads":2,"gpu":null,"allowSoftware":false}"#,
        &[],
    );
    assert_eq!(threads_of_the_process(), before + 2);

    ask(&mut engine, model, &[]);
    ask(&mut engine, r#"{"op":"tensorInit","seed":1,"std":0.02}"#, &[]);
    ask(
        &mut engine,
        r#"{"op":"deltaAttach","module":"model.layers.0.mlp.up_proj","count":900,"seed":3}"#,
        &[],
    );
    ask(&mut engine, r#"{"op":"candidatesBegin"}"#, &[]);
    let batch: Vec<u32> = (0..256).chain(1..257).chain([0, 100, 256]).collect();
    ask(
        &mut engine,
        r#"{"op":"forwardBackward","batch":{"tokens":256,"sequences":2},"lossScale":1.0}"#,
        bytemuck::cast_slice(&batch),
    );
    ask(
        &mut engine,
        r#"{"op":"optimizerStep","update":{"learningRate":0.1,"weightDecay":0.0,"beta1":0.9,"beta2":0.999,
            "epsilon":1e-8,"maxGradNorm":1.0,"step":1}}"#,
        &[],
    );
    ask(
        &mut engine,
        r#"{"op":"deltaReselect","criterion":"accumulatedGradients","rate":0.5,"gradientAccumulationSteps":1,
            "beta1":0.9,"beta2":0.999}"#,
        &[],
    );
    let rows = ask(
        &mut engine,
        r#"{"op":"tensorRead","name":"model.embed_tokens.weight","row":0,"rows":512,"format":"q8_0","merged":true}"#,
        &[],
    );
    ask(&mut engine, r#"{"op":"convert","from":"q8_0","to":"f16","elements":32768}"#, &rows);
    assert_eq!(threads_of_the_process(), before + 2);
}
