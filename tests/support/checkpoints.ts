/** Small checkpoints whose every byte follows from their step. */

import type { Checkpoint, LoadedCheckpoint } from "../../src/checkpoint/checkpoint.ts";
import type { CheckpointState } from "../../src/checkpoint/state.ts";

/** A state that passes the schema. */
export function stateOf(step: number): CheckpointState {
  return {
    program_version: "0.1.0",
    run: {
      config_hash: "a".repeat(64),
      base_model_hash: "b".repeat(64),
      dataset_fingerprint: "c".repeat(64),
      held_out_fingerprint: "d".repeat(64),
      adapter_digest: null,
    },
    place: { host: "native", device: "cpu" },
    precision: "f32",
    step,
    micro_batch: step * 2,
    tokens: step * 512,
    target_tokens: step * 300,
    window_samples: step % 3,
    evaluated_step: step > 1 ? step - 1 : null,
    best_eval: step > 1 ? { step: step - 1, loss: 1 / step } : null,
    early_stop: { evaluations_without_improvement: 0 },
  };
}

/** Three groups of tensors, `window.safetensors` without any. */
export function checkpointOf(step: number): Checkpoint {
  const count = 64;
  const floats = (scale: number) =>
    Float32Array.from({ length: count }, (_, i) => scale * (i - step));
  return {
    state: stateOf(step),
    groups: {
      "window.safetensors": new Map(),
      "deltas.safetensors": new Map([
        ["q_proj.indices", {
          dtype: "U32",
          shape: [count],
          parts: () => [Uint32Array.from({ length: count }, (_, i) => i * 3 + step)],
        }],
        ["q_proj.values", { dtype: "F32", shape: [count], parts: () => [floats(0.25)] }],
      ]),
      "optimizer.safetensors": new Map([
        ["q_proj.moment1", { dtype: "F32", shape: [count], parts: () => [floats(0.5)] }],
      ]),
    },
  };
}

/** Everything that a loaded checkpoint holds, for comparison. */
export function contentOf(loaded: LoadedCheckpoint): unknown {
  const groups = loaded.groupNames.map((name) => {
    using file = loaded.openGroup(name);
    return [name, [...file.tensors.keys()].map((tensor) => [tensor, file.read(tensor)])];
  });
  return { state: loaded.state, groups };
}
