/**
 * Every key of a training run: its type, range, default and words, once.
 *
 * Flags, config files, `--set`, `--help`, the reference in `docs/` and the JSON Schema derive from
 * `runConfigSchema`. Rules between keys are in `rules.ts`; defaults that depend on other keys in `resolve.ts`.
 */

import { z } from "npm:zod@4.6.7";
import { FORMAT_NAMES } from "../../data/formats/mod.ts";
import { TRAIN_ON } from "../../data/train_on.ts";
import { QUANTIZED_FORMATS } from "../../model/load.ts";
import { BYTES, parseBytes } from "./bytes.ts";
import { keyWords } from "./key_words.ts";

/** The linear layers of a block that get deltas unless told otherwise. */
const LINEAR_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

const count = (minimum: number) => z.int().min(minimum).max(2 ** 32 - 1);
/** More threads than the largest machines have cores only cost: every thread has a stack. */
const MAX_THREADS = 1024;
const path = () => z.string().min(1);

/**
 * One strict schema; keys are named as on disk.
 * @internal
 */
export const runConfigSchema = z.strictObject({
  model: path().register(keyWords, {
    group: "Model and data",
    description: "base model: a Hugging Face folder, a GGUF file, or org/name of the hub",
    placeholder: "MODEL",
    expected: "a folder, a .gguf file or org/name of the hub",
  }),
  init: z.enum(["pretrained", "random"]).default("pretrained").register(keyWords, {
    group: "Model and data",
    description: "weights to start from: the model's own, or random ones of the shapes that its " +
      "config.json or GGUF file tells",
  }),
  init_std: z.number().positive().default(0.02).register(keyWords, {
    group: "Model and data",
    description: "standard deviation of random matrices with init random",
  }),
  quantize: z.enum(["none", ...QUANTIZED_FORMATS]).optional().register(keyWords, {
    group: "Model and data",
    description: "format to which the layers are quantised while a 16-bit model is loaded; " +
      "none leaves them as they are stored",
    defaultText: "none",
  }),
  adapter: path().optional().register(keyWords, {
    group: "Model and data",
    description: "adapter whose deltas the model starts with, a folder",
    placeholder: "DIR",
    expected: "an adapter's folder",
    defaultText: "none",
  }),
  data: z.array(path()).min(1).register(keyWords, {
    group: "Model and data",
    description:
      "training examples: a file, or hf:org/name:split of the hub; repeat the flag for " +
      "several, each with a weight to draw them in that proportion",
    placeholder: "FILE[:WEIGHT]",
    expected: "a list of one or more data files",
    repeatable: true,
  }),
  eval_data: z.array(path()).default([]).register(keyWords, {
    group: "Model and data",
    description: "held-out examples, named as data is; repeat the flag for several",
    placeholder: "FILE",
    expected: "a list of data files",
    repeatable: true,
    defaultText: "none",
  }),
  eval_split: z.number().gt(0).lt(1).optional().register(keyWords, {
    group: "Model and data",
    description:
      "share of the training examples to hold out instead of eval_data, always the same ones",
    defaultText: "none",
  }),
  dedupe: z.boolean().default(false).register(keyWords, {
    group: "Model and data",
    description: "train on one of examples that are exactly alike",
  }),
  offline: z.boolean().default(false).register(keyWords, {
    group: "Model and data",
    description: "take what is named on the hub from its cache, and ask no server",
    changeable: true,
  }),
  map: z.record(z.string().min(1), z.string().min(1)).default({}).register(keyWords, {
    group: "Model and data",
    description: "names of the data's fields, such as prompt=question,completion=answer",
    placeholder: "FIELD=NAME,...",
    expected: "FIELD=NAME pairs such as prompt=question,completion=answer",
    defaultText: "as in the format",
  }),
  format: z.enum(FORMAT_NAMES).default("auto").register(keyWords, {
    group: "Model and data",
    description: "how a record of the data is read; auto goes by the fields of the first records",
  }),
  train_on: z.enum(TRAIN_ON).default("assistant").register(keyWords, {
    group: "Model and data",
    description: "what of an example is trained on: every message of the assistant, everything, " +
      "the assistant's last message, or the completion, which in a conversation is what the assistant " +
      "says after the user's last message",
  }),
  skip_bad: z.boolean().default(false).register(keyWords, {
    group: "Model and data",
    description: "leave out examples that cannot be used, and list them, instead of refusing them",
    changeable: true,
  }),

  method: z.enum(["spiel-ag", "spiel-ma", "full"]).default("spiel-ag").register(keyWords, {
    group: "Method",
    description: "SpIEL with accumulated gradients (AdamW), SpIEL with momentum approximation " +
      "(SM3), or every weight (AdamW)",
  }),
  density: z.number().positive().max(1).optional().register(keyWords, {
    group: "Method",
    description: "deltas as a share of all the model's weights",
    defaultText: "0.01, unless num_deltas or rank_equivalent is given",
  }),
  num_deltas: count(1).optional().register(keyWords, {
    group: "Method",
    description: "deltas in total, instead of density",
    defaultText: "from density",
  }),
  rank_equivalent: count(1).optional().register(keyWords, {
    group: "Method",
    description: "as many deltas as a LoRA of this rank has parameters, instead of density",
    defaultText: "from density",
  }),
  reselection_steps: count(2).default(20).register(keyWords, {
    group: "Method",
    description: "steps between two reselections of the deltas' positions",
    unit: "steps",
  }),
  selection_accumulation_steps: count(1).default(5).register(keyWords, {
    group: "Method",
    description: "length of the window in which positions to grow are measured",
    unit: "steps",
  }),
  initial_reselection_rate: z.number().positive().max(1).default(0.2).register(keyWords, {
    group: "Method",
    description: "share of the deltas replaced at first; it falls to zero over the run",
  }),
  reselection_rate_policy: z.enum(["linear", "cosine"]).default("linear").register(keyWords, {
    group: "Method",
    description:
      "how the share falls; with linear the very first reselection replaces all it can, " +
      "unless the run starts from an adapter",
  }),
  target_modules: z.array(z.string().min(1)).min(1).default(LINEAR_LAYERS).register(keyWords, {
    group: "Method",
    description: "linear layers that get deltas, by the end of their names",
    placeholder: "NAME,...",
    expected: "a list of names such as q_proj,v_proj",
  }),

  lr: z.number().positive().optional().register(keyWords, {
    group: "Optimiser",
    description: "learning rate at its peak",
    defaultText: "1e-3 with spiel-ag, 5e-3 with spiel-ma, 2e-5 with full",
  }),
  lr_schedule: z.enum(["constant", "linear", "cosine"]).default("linear").register(keyWords, {
    group: "Optimiser",
    description: "course of the learning rate after its warm-up; linear and cosine end at zero",
  }),
  warmup_ratio: z.number().min(0).max(1).optional().register(keyWords, {
    group: "Optimiser",
    description: "share of the steps in which the learning rate rises",
    defaultText: "0.03, unless warmup_steps is given",
  }),
  warmup_steps: count(0).optional().register(keyWords, {
    group: "Optimiser",
    description: "steps in which the learning rate rises, instead of warmup_ratio",
    unit: "steps",
    defaultText: "from warmup_ratio",
  }),
  weight_decay: z.number().min(0).default(0).register(keyWords, {
    group: "Optimiser",
    description: "decoupled decay, of deltas towards zero and of weights with full",
  }),
  max_grad_norm: z.number().min(0).default(1).register(keyWords, {
    group: "Optimiser",
    description: "global gradient norm above which gradients are scaled down; 0 is off",
  }),
  beta1: z.number().min(0).lt(1).default(0.9).register(keyWords, {
    group: "Optimiser",
    description: "AdamW's decay of the first moment",
  }),
  beta2: z.number().min(0).lt(1).default(0.999).register(keyWords, {
    group: "Optimiser",
    description: "AdamW's decay of the second moment",
  }),
  epsilon: z.number().positive().default(1e-8).register(keyWords, {
    group: "Optimiser",
    description: "the optimiser's guard against division by zero",
  }),
  loss_normalization: z.enum(["token", "micro_batch"]).default("token").register(keyWords, {
    group: "Optimiser",
    description: "mean over a step's trained tokens, or mean of its micro-batches' means",
  }),

  max_steps: count(1).optional().register(keyWords, {
    group: "Batches and length",
    description: "optimiser steps to make, instead of epochs",
    unit: "steps",
    defaultText: "from epochs",
  }),
  epochs: z.number().positive().max(1e6).optional().register(keyWords, {
    group: "Batches and length",
    description: "passes over the training examples; may be a fraction",
    defaultText: "1, unless max_steps is given",
  }),
  max_length: count(2).default(1024).register(keyWords, {
    group: "Batches and length",
    description: "longest example; longer ones are cut, and counted",
    unit: "tokens",
  }),
  micro_batch_tokens: count(2).optional().register(keyWords, {
    group: "Batches and length",
    description: "most tokens of a micro-batch, which decides the memory for activations",
    unit: "tokens",
    defaultText: "2048, or max_length where that is more",
  }),
  micro_batch_examples: count(1).optional().register(keyWords, {
    group: "Batches and length",
    description: "most examples of a micro-batch",
    defaultText: "as many as fit",
  }),
  packing: z.enum(["pack", "none"]).default("pack").register(keyWords, {
    group: "Batches and length",
    description: "fill micro-batches well, by first-fit decreasing among neighbours, " +
      "or take the examples in their order",
  }),
  gradient_accumulation_steps: count(1).default(1).register(keyWords, {
    group: "Batches and length",
    description: "micro-batches per optimiser step",
  }),
  seed: count(0).default(0).register(keyWords, {
    group: "Batches and length",
    description: "seed of the data order, of the first positions and of random weights",
  }),

  eval_every: count(0).default(50).register(keyWords, {
    group: "Evaluation",
    description:
      "steps between two evaluations; 0 evaluates before the first and after the last only",
    unit: "steps",
  }),
  eval_examples: count(1).optional().register(keyWords, {
    group: "Evaluation",
    description: "most held-out examples to evaluate on, the first ones",
    defaultText: "all",
  }),
  eval_generate: count(0).default(0).register(keyWords, {
    group: "Evaluation",
    description: "held-out examples to answer by generating, scored by exact match",
  }),
  eval_max_new_tokens: count(1).default(128).register(keyWords, {
    group: "Evaluation",
    description: "longest generated answer",
    unit: "tokens",
  }),
  early_stop_patience: count(0).default(0).register(keyWords, {
    group: "Evaluation",
    description: "evaluations without a better loss after which the run ends; 0 is never",
  }),
  result: z.enum(["last", "best"]).optional().register(keyWords, {
    group: "Evaluation",
    description: "the state that is saved at the end: the last, or that of the best evaluation",
    defaultText: "last, or best with early_stop_patience",
    changeable: true,
  }),

  out: path().default("runs/train").register(keyWords, {
    group: "Run folder",
    description: "folder for checkpoints, metrics, adapter and report",
    placeholder: "DIR",
    changeable: true,
  }),
  resume: z.boolean().default(false).register(keyWords, {
    group: "Run folder",
    description: "go on from the newest good checkpoint in the run folder, if there is one",
    changeable: true,
  }),
  save_every: count(0).default(100).register(keyWords, {
    group: "Run folder",
    description: "steps between two checkpoints; 0 saves after the last only",
    unit: "steps",
    changeable: true,
  }),
  keep: count(1).default(3).register(keyWords, {
    group: "Run folder",
    description: "newest checkpoints to keep; the best one is kept besides",
    changeable: true,
  }),
  log_every: count(1).default(1).register(keyWords, {
    group: "Run folder",
    description:
      "steps between two lines of metrics; a GPU need not wait for the steps between them",
    unit: "steps",
    changeable: true,
  }),
  profile: z.boolean().default(false).register(keyWords, {
    group: "Run folder",
    description: "count and time what steps ask of the device, print a table at the end, " +
      "and write profile.json",
    changeable: true,
  }),
  dry_run: z.boolean().default(false).register(keyWords, {
    group: "Run folder",
    description: "read everything, print the memory plan, and stop before training",
    changeable: true,
  }),

  host: z.enum(["auto", "native", "wasm"]).default("auto").register(keyWords, {
    group: "Machine",
    description: "where the engine runs; auto takes the native library when it is built",
    changeable: true,
  }),
  device: z.enum(["auto", "gpu", "cpu"]).default("auto").register(keyWords, {
    group: "Machine",
    description: "what the engine computes on; auto takes a hardware GPU where there is one",
    changeable: true,
  }),
  gpu: z.union([z.int().min(0), z.string().min(1)]).transform(String).optional()
    .register(keyWords, {
      group: "Machine",
      description:
        "the GPU to compute on: its number in `doctor`, its PCI id or a part of its name",
      placeholder: "GPU",
      expected: "a number, a PCI id such as 0000:01:00.0, or a part of the name",
      defaultText: "the preferred one",
      changeable: true,
    }),
  allow_software: z.boolean().default(false).register(keyWords, {
    group: "Machine",
    description: "let device gpu be a software adapter, far slower than the CPU device",
    changeable: true,
  }),
  native_library: path().optional().register(keyWords, {
    group: "Machine",
    description: "the native engine's file",
    placeholder: "FILE",
    defaultText: "SPIEL_NATIVE_LIB, else the clone's build folder",
    changeable: true,
  }),
  threads: count(1).max(MAX_THREADS).optional().register(keyWords, {
    group: "Machine",
    description: "threads that compute; results do not depend on it",
    defaultText: "all cores, at most 8 with wasm",
    changeable: true,
  }),
  data_workers: z.int().min(0).max(MAX_THREADS).optional().register(keyWords, {
    group: "Machine",
    description:
      "workers that tokenise the data; 0 is the main thread, and results do not depend on it",
    defaultText: "all cores up to 8, or 0 for up to 4 MiB of data",
    changeable: true,
  }),
  precision: z.enum(["auto", "f32", "f16", "bf16"]).default("f32").register(keyWords, {
    group: "Machine",
    description:
      "what products by weights round to: bf16 both factors, on a CPU with AMX or AVX512-BF16; f16 the decoded " +
      "weights of a GPU, in half the memory; auto is bf16 on a CPU with AMX, or by AMD with AVX512-BF16, " +
      "unless a matrix is stored in f32, else f32; one token, on a GPU up to eight, takes weights as stored",
  }),
  activation_checkpointing: z.enum(["none", "block"]).default("none").register(keyWords, {
    group: "Machine",
    description: "keep all activations, or each block's input and compute the rest again: " +
      "the same bits with less memory and more time",
    changeable: true,
  }),
  memory_budget: z.union([z.int().min(0), z.string().regex(BYTES)]).transform(parseBytes).optional()
    .register(keyWords, {
      group: "Machine",
      description: "most memory that the plan may take; what needs more does not start; " +
        "0 or none is no limit",
      unit: "bytes",
      placeholder: "SIZE",
      expected: "a number of bytes, a size such as 8GiB, or none",
      defaultText: "what is free, at most 4GiB with wasm",
      changeable: true,
    }),
});

/** A key as written in config files: `reselection_steps`. */
export type ConfigKey = keyof typeof runConfigSchema.shape;

/** All keys, in the order of their groups. */
export const CONFIG_KEYS = Object.keys(runConfigSchema.shape) as readonly ConfigKey[];
