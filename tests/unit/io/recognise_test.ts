/** What paths are recognised as, and what is said of those that are of another kind than expected. */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import {
  kindOfPath,
  mistakenForAdapter,
  mistakenForModel,
  mistakenForWhole,
  type PathKind,
} from "../../../src/io/recognise.ts";
import { withTempDir } from "../../support/temp_dir.ts";

/** Makes files, with their folders, whose content does not matter unless given. */
function make(root: string, files: Record<string, unknown>): void {
  for (const [name, content] of Object.entries(files)) {
    Deno.mkdirSync(dirname(`${root}/${name}`), { recursive: true });
    Deno.writeTextFileSync(`${root}/${name}`, content === null ? "" : JSON.stringify(content));
  }
}

const RUN_CONFIG = { model: { value: "models/base", origin: "flag" } };
const MODEL = { "model/config.json": null, "model/model.safetensors": null };
const ADAPTER = {
  "run/adapter/adapter_config.json": { base_model_name_or_path: "models/base" },
  "run/adapter/adapter_model.safetensors": null,
};
const RUN = { "run/config.json": RUN_CONFIG, "run/metrics.jsonl": null, "run/run.lock": null };
const STEP = "run/checkpoints/step-00000010";
const CHECKPOINT = { [`${STEP}/manifest.json`]: null, [`${STEP}/state.json`]: null };

/** Files, the path to look at, its kind, and what is said where a model or an adapter is expected. */
const CASES: [
  title: string,
  files: Record<string, unknown>,
  path: string,
  kind: PathKind,
  asModel: RegExp | null,
  asAdapter: RegExp | null,
][] = [
  ["nothing", {}, "none", "nothing", null, null],
  ["a model", MODEL, "model", "model", null, /^is a model; name it by --model$/],
  [
    "a model for random weights",
    { "model/config.json": null },
    "model",
    "model",
    null,
    /^is a model/,
  ],
  [
    "a model in which a run was begun",
    { ...MODEL, "model/run.lock": null },
    "model",
    "model",
    null,
    /^is a model/,
  ],
  ["a GGUF file", { "a.gguf": null }, "a.gguf", "gguf", null, /^is a model/],
  [
    "an adapter",
    ADAPTER,
    "run/adapter",
    "adapter",
    /^is an adapter; name it by --adapter, and its base model \("models\/base"\) by --model$/,
    null,
  ],
  [
    "a run",
    { ...RUN, ...ADAPTER },
    "run",
    "run",
    /^is a run folder; did you mean its base model "models\/base" with --adapter ".*run\/adapter"\?$/,
    /^is a run folder; did you mean ".*run\/adapter"\?$/,
  ],
  [
    "a run without a result",
    RUN,
    "run",
    "run",
    /^is a run folder; did you mean its base model "models\/base"\?$/,
    /^is a run folder; there is no adapter yet: it is saved when the run ends$/,
  ],
  [
    "a run of every weight",
    { ...RUN, "run/model/config.json": null },
    "run",
    "run",
    /^is a run folder; did you mean ".*run\/model"\?$/,
    /no adapter but the model ".*run\/model"$/,
  ],
  [
    "a run that has only begun",
    { "run/run.lock": null },
    "run",
    "run",
    /^is a run folder; expected the base model that the run trains$/,
    /no adapter yet/,
  ],
  [
    "a checkpoint",
    { ...RUN, ...ADAPTER, ...CHECKPOINT },
    STEP,
    "checkpoint",
    /^is a checkpoint, which its run alone reads, by --resume; did you mean its base model/,
    /^is a checkpoint, which .*; did you mean ".*run\/adapter"\?$/,
  ],
  [
    "the checkpoints of a run",
    { ...RUN, ...ADAPTER, ...CHECKPOINT },
    dirname(STEP),
    "folder",
    /^is a part of a run folder; did you mean its base model/,
    /^is a part of a run folder; did you mean ".*run\/adapter"\?$/,
  ],
  [
    "a folder with GGUF files",
    { "models/b.gguf": null, "models/a.gguf": null, "models/README.md": null },
    "models",
    "folder",
    /^is a folder without config\.json; did you mean ".*models\/a\.gguf" or ".*b\.gguf"\?$/,
    null,
  ],
  [
    "a folder with many",
    Object.fromEntries(["a", "b", "c", "d"].map((name) => [`models/${name}.gguf`, null])),
    "models",
    "folder",
    /did you mean "[^"]*a\.gguf" or "[^"]*b\.gguf" or "[^"]*c\.gguf" …\?$/,
    null,
  ],
  [
    "a folder of the hub's cache",
    { "hub/refs/main": null, "hub/snapshots/ab12/config.json": null },
    "hub",
    "folder",
    /did you mean ".*hub\/snapshots\/ab12"\?$/,
    null,
  ],
  [
    "a folder of other things",
    { "x/notes.txt": null },
    "x",
    "folder",
    /^is a folder without config\.json$/,
    null,
  ],
  [
    "weights",
    MODEL,
    "model/model.safetensors",
    "tensors",
    /^is a part of a model; did you mean ".*\/model"\?$/,
    null,
  ],
  [
    "an adapter's configuration",
    ADAPTER,
    "run/adapter/adapter_config.json",
    "file",
    null,
    /^is a part of an adapter; did you mean ".*run\/adapter"\?$/,
  ],
  ["data", { "a.jsonl": null }, "a.jsonl", "data", null, /^is a data file; expected/],
];

for (const [title, files, path, kind, asModel, asAdapter] of CASES) {
  Deno.test(`recognised: ${title}`, () =>
    withTempDir((dir) => {
      make(dir, files);
      const full = `${dir}/${path}`;
      assert.equal(kindOfPath(full), kind);
      for (
        const [said, words] of [
          [mistakenForModel(full), asModel],
          [mistakenForAdapter(full), asAdapter],
        ] as const
      ) {
        if (words === null) assert.equal(said, undefined);
        else assert.match(said ?? "", words);
      }
    }));
}

Deno.test("recognised: what means nothing without its folder", () =>
  withTempDir((dir) => {
    make(dir, { ...RUN, ...ADAPTER, ...CHECKPOINT, ...MODEL, "model/notes.txt": null });
    for (
      const [path, words] of [
        ["run/config.json", /^is a part of a run; did you mean ".*\/run"\?$/],
        ["run/checkpoints", /^is a part of a run; did you mean ".*\/run"\?$/],
        [
          "run/adapter/adapter_config.json",
          /^is a part of an adapter; did you mean ".*adapter"\?$/,
        ],
        [`${STEP}/state.json`, /^is a part of a checkpoint; did you mean ".*step-00000010"\?$/],
        ["model/config.json", /^is a part of a model; did you mean ".*\/model"\?$/],
      ] as const
    ) assert.match(mistakenForWhole(`${dir}/${path}`) ?? "", words);
    for (const path of ["run", "run/metrics.jsonl", "run/adapter", STEP, "model/notes.txt"]) {
      assert.equal(mistakenForWhole(`${dir}/${path}`), undefined, path);
    }
  }));
