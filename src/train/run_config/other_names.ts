/** What other trainers call our keys, for those who come from them. */

import { suggest } from "../../suggest.ts";
import type { ConfigKey } from "./schema.ts";

/** Our key by its name in Hugging Face's Trainer, TRL, PEFT and their like. */
const OTHER_NAMES: Readonly<Record<string, ConfigKey>> = {
  adam_beta1: "beta1",
  adam_beta2: "beta2",
  adam_epsilon: "epsilon",
  base_model: "model",
  block_size: "max_length",
  cutoff_len: "max_length",
  dataset: "data",
  early_stopping_patience: "early_stop_patience",
  eval_dataset: "eval_data",
  eval_steps: "eval_every",
  gradient_checkpointing: "activation_checkpointing",
  learning_rate: "lr",
  logging_steps: "log_every",
  lora_r: "rank_equivalent",
  lr_scheduler_type: "lr_schedule",
  max_seq_len: "max_length",
  max_seq_length: "max_length",
  model_max_length: "max_length",
  model_name_or_path: "model",
  num_epochs: "epochs",
  num_train_epochs: "epochs",
  num_tunable_weights: "num_deltas",
  output_dir: "out",
  per_device_train_batch_size: "micro_batch_examples",
  resume_from_checkpoint: "resume",
  save_steps: "save_every",
  save_total_limit: "keep",
  test_file: "eval_data",
  train_batch_size: "micro_batch_examples",
  train_file: "data",
  validation_file: "eval_data",
};

/** The key that was meant by an unknown name: what others call by it, else the nearest; undefined where none is near. */
export function meantKey(name: string, known: Iterable<string>): string | undefined {
  const keys = [...known];
  const other = OTHER_NAMES[name.replaceAll("-", "_").toLowerCase()];
  return other !== undefined && keys.includes(other) ? other : suggest(name, keys);
}
