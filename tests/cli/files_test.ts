/** Bad, missing and damaged files: the documented code, one sentence that names the file, no trace. */

import assert from "node:assert/strict";
import { refusalProblem, runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

type Mistake = [
  title: string,
  /** Prepares files and returns the arguments. */
  args: (folder: TinyFolder) => string[],
  code: number,
  words: RegExp,
];

/** Arguments of a run, with other files in place of the good ones. */
function train(folder: TinyFolder, files: { model?: string; data?: string }, ...more: string[]) {
  return folder.trainArgs(
    "run",
    ...Object.entries(files).flatMap(([key, path]) => [`--${key}`, path]),
    ...more,
  );
}

/** A run on other data; `--data` adds up, so it stands alone. */
function trainOn(folder: TinyFolder, name: string, text: string): string[] {
  return [
    "train",
    "--model",
    folder.model,
    "--host",
    "wasm",
    "--out",
    folder.at("run"),
    "--data",
    folder.write(name, text),
  ];
}

/** A damaged copy of the model. */
function damaged(
  folder: TinyFolder,
  name: string,
  file: string,
  change: (bytes: Uint8Array) => Uint8Array,
): string {
  const model = folder.copyModel(name);
  Deno.writeFileSync(`${model}/${file}`, change(Deno.readFileSync(`${model}/${file}`)));
  return model;
}

/** Changes config.json. */
function reconfigured(folder: TinyFolder, name: string, changes: Record<string, unknown>): string {
  return damaged(folder, name, "config.json", (bytes) => {
    const config = JSON.parse(new TextDecoder().decode(bytes));
    return new TextEncoder().encode(JSON.stringify({ ...config, ...changes }));
  });
}

const without = (folder: TinyFolder, name: string, file: string) => {
  const model = folder.copyModel(name);
  Deno.removeSync(`${model}/${file}`);
  return model;
};

const MISTAKES: Mistake[] = [
  ["no such model", (f) => train(f, { model: f.at("none") }), 65, /none" does not exist/],
  [
    "a model that is a text",
    (f) => train(f, { model: f.data }),
    65,
    /train\.jsonl" is neither a folder nor a \.gguf/,
  ],
  [
    "a folder without config.json",
    (f) => train(f, { model: without(f, "m1", "config.json") }),
    65,
    /config\.json/,
  ],
  [
    "a folder without weights",
    (f) => train(f, { model: without(f, "m2", "model.safetensors") }),
    65,
    /model\.safetensors/,
  ],
  [
    "a folder without a tokenizer",
    (f) => train(f, { model: without(f, "m3", "tokenizer.json") }),
    65,
    /tokenizer\.json/,
  ],
  [
    "a torn config.json",
    (f) => train(f, { model: damaged(f, "m4", "config.json", (b) => b.slice(0, 40)) }),
    65,
    /config\.json/,
  ],
  [
    "an unknown architecture",
    (f) => train(f, { model: reconfigured(f, "m5", { model_type: "gpt2" }) }),
    65,
    /gpt2.*llama/,
  ],
  [
    "a vocabulary that does not fit",
    (f) => train(f, { model: reconfigured(f, "m6", { vocab_size: 100 }) }),
    65,
    /vocab|embed_tokens/,
  ],
  [
    "torn weights",
    (f) =>
      train(f, { model: damaged(f, "m7", "model.safetensors", (b) => b.slice(0, b.length >> 1)) }),
    65,
    /model\.safetensors/,
  ],
  [
    "weights that are noise",
    (f) =>
      train(f, {
        model: damaged(f, "m8", "model.safetensors", (b) => b.map((x, i) => x ^ (i * 7))),
      }),
    65,
    /model\.safetensors/,
  ],
  [
    "a torn tokenizer",
    (f) => train(f, { model: damaged(f, "m9", "tokenizer.json", (b) => b.slice(0, 100)) }),
    65,
    /tokenizer\.json/,
  ],
  [
    "a GGUF file that is none",
    (f) => train(f, { model: f.write("a.gguf", "not a model") }),
    65,
    /a\.gguf/,
  ],
  ["an empty GGUF file", (f) => train(f, { model: f.write("b.gguf", "") }), 65, /b\.gguf/],
  ["no such data", (f) => train(f, { data: f.at("none.jsonl") }), 65, /none\.jsonl/],
  ["data without a line", (f) => trainOn(f, "d1.jsonl", ""), 65, /d1\.jsonl" has no records/],
  [
    "a line that is no JSON",
    (f) => trainOn(f, "d2.jsonl", '{"text":"abc"}\n{"text":\n'),
    65,
    /d2\.jsonl:2/,
  ],
  ["a line that is no object", (f) => trainOn(f, "d3.jsonl", "[1]\n"), 65, /d3\.jsonl:1/],
  [
    "unknown fields",
    (f) => trainOn(f, "d4.jsonl", '{"q":"a","a":"b"}\n'),
    65,
    /d4\.jsonl:1 has the fields "q", "a".*--map/,
  ],
  [
    "a field of the wrong type",
    (f) => trainOn(f, "d5.jsonl", '{"prompt":"a","completion":5}\n'),
    65,
    /d5\.jsonl:1.*completion/,
  ],
  [
    "nothing to train on",
    (f) => trainOn(f, "d6.jsonl", '{"messages":[{"role":"user","content":"a"}]}\n'),
    65,
    /d6\.jsonl:1/,
  ],
  ["a map to no field", (f) => train(f, {}, "--map", "question=q"), 64, /question/],
  [
    "bad held-out data",
    (f) => train(f, {}, "--eval-data", f.write("e1.jsonl", "{\n")),
    65,
    /e1\.jsonl:1/,
  ],
  [
    "too little memory",
    (f) => train(f, {}, "--memory-budget", "10KiB"),
    69,
    /MiB of memory, over the --memory-budget of 10\.0 KiB; try .*density.*\n {2}- weights: /,
  ],
  [
    "a module that is not there",
    (f) => train(f, {}, "--target-modules", "w_proj"),
    64,
    /w_proj.*q_proj/,
  ],
  ["an adapter that is none", (f) => train(f, {}, "--adapter", f.path), 65, /adapter_config\.json/],
  [
    "no native library",
    (f) => train(f, {}, "--host", "native", "--native-library", f.at("no.so")),
    78,
    /no\.so/,
  ],
  [
    "a native library that is a text",
    (f) => train(f, {}, "--host", "native", "--native-library", f.data),
    78,
    /train\.jsonl/,
  ],
  [
    "a run folder that is a file",
    (f) => train(f, {}, "--out", f.data),
    64,
    /train\.jsonl" is a file/,
  ],
  ["a run folder with other things", (f) => train(f, {}, "--out", f.path), 64, /is not empty/],
  [
    "to evaluate no data",
    (f) => ["evaluate", "--model", f.model, "--data", f.at("none.jsonl"), "--host", "wasm"],
    65,
    /none\.jsonl/,
  ],
  [
    "to generate from nothing",
    (f) => ["generate", "--model", f.model, "--raw", "--prompt", "", "--host", "wasm"],
    64,
    /prompt is empty/,
  ],
  [
    "to generate in too little memory",
    (f) => ["generate", "--model", f.model, "--prompt", "a", "--memory-budget", "10KiB"],
    69,
    /over the --memory-budget of 10\.0 KiB; try a smaller model\. It is made of/,
  ],
  [
    "to evaluate in too little memory",
    (f) => ["evaluate", "--model", f.model, "--data", f.data, "--memory-budget", "10KiB"],
    69,
    /10\.0 KiB; try a smaller model or a smaller --micro-batch-tokens\. It is made of/,
  ],
  [
    "to merge into a folder in use",
    (f) => ["merge", "--model", f.model, "--adapter", f.model, "--out", f.path, "--host", "wasm"],
    64,
    /exists already/,
  ],
  [
    "a run folder in use, before the model is looked at",
    (f) => train(f, { model: f.at("none") }, "--out", f.path),
    64,
    /is not empty/,
  ],
  [
    "held-out data that is missing, before the model is looked at",
    (f) => train(f, { model: f.at("none") }, "--eval-data", f.at("no.jsonl")),
    65,
    /--eval-data ".*no\.jsonl" does not exist/,
  ],
  [
    "a data file by a mistyped name",
    (f) => train(f, {}, "--data", f.at("trian.jsonl")),
    65,
    /--data ".*trian\.jsonl" does not exist; did you mean ".*train\.jsonl"\?/,
  ],
  [
    "a model in a folder that is missing",
    (f) => train(f, { model: f.at("nowhere/model") }),
    65,
    /nowhere\/model" does not exist; .*; there is no folder ".*nowhere"/,
  ],
  [
    "to inspect a folder of things that are known",
    (f) => {
      Deno.mkdirSync(f.at("shelf/run/checkpoints"), { recursive: true });
      return ["inspect", f.at("shelf")];
    },
    65,
    /shelf" is nothing known; did you mean ".*shelf\/run"\?/,
  ],
  [
    "a field of the map by a mistyped name",
    (f) => train(f, {}, "--map", "promt=question"),
    64,
    /Cannot map the field "promt"; did you mean prompt\?/,
  ],
  ["to inspect a mistyped name", (f) => ["inspect", f.at("modle")], 65, /did you mean ".*model"\?/],
  ["to inspect nothing", (f) => ["inspect", f.at("none")], 65, /none" does not exist/],
  [
    "to inspect a text",
    (f) => ["inspect", f.write("x.txt", "x")],
    65,
    /x\.txt:1: not valid JSON: .*; expected JSON Lines, one object per line/,
  ],
  [
    "to show examples of a model",
    (f) => ["inspect", f.model, "--model", f.model],
    64,
    /--model belongs to a data file/,
  ],
];

Deno.test("bad files are told in a sentence", async (test) => {
  using folder = new TinyFolder();
  for (const [title, args, code, words] of MISTAKES) {
    await test.step(title, async () => {
      assert.equal(refusalProblem(await runCli(args(folder)), code, words), undefined);
    });
  }
});
