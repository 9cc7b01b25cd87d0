/** The bench's command line and its table of configurations. */

import assert from "node:assert/strict";
import { BASES, CONFIGURATIONS, selected } from "../../../bench/configurations.ts";
import { benchOptions } from "../../../bench/options.ts";
import { largest, median, round } from "../../../bench/statistics.ts";

Deno.test("every configuration has a name of its own", () => {
  const names = CONFIGURATIONS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  // Five ways to train and a forward pass on three shapes, and generation; then six for sweeps.
  assert.equal(names.length, BASES.length * ((5 + 1) * 3 + 1) + 6);
  for (const { name, base, quantize } of CONFIGURATIONS) {
    assert.ok(name.endsWith(`/${quantize ?? base}`));
  }
});

Deno.test("configurations are selected by parts of their names", () => {
  const names = (patterns: string[]) => selected(patterns).map(({ name }) => name);
  assert.deepEqual(selected([]), CONFIGURATIONS);
  assert.deepEqual(names(["decode/stored", "f32/forward/1x512"]), [
    "decode/stored",
    "forward/1x512/f32",
  ]);
  // A part is whole: a window's steps have a name of their own.
  assert.deepEqual(names(["spiel-ag-1%/4x256/stored"]), ["spiel-ag-1%/4x256/stored"]);
  assert.equal(names(["1x2048"]).length, BASES.length * 6);
  assert.throws(() => selected(["decode", "spiel-ag-1"]), {
    name: "RangeError",
    message: /--only spiel-ag-1 fits no configuration; expected parts out of spiel-ag-1%, 4x256, /,
  });
  assert.throws(() => selected(["decode/4x256"]), RangeError);
});

Deno.test("the command line of the bench", () => {
  const { configurations, ...rest } = benchOptions([], "models");
  assert.equal(configurations.length, CONFIGURATIONS.length);
  assert.deepEqual(rest, {
    model: "models/SmolLM2-135M-Instruct.Q4_1.gguf",
    ...{ rounds: 1, steps: 3, host: "auto", threads: undefined, precision: "f32", list: false },
  });
  const args = ["--model", "m.gguf", "--only", "decode", "--rounds", "3", "--threads", "1"];
  const chosen = benchOptions([...args, "--host", "wasm"], "models");
  assert.deepEqual(
    [chosen.model, chosen.configurations.length, chosen.rounds, chosen.threads, chosen.host],
    ["m.gguf", BASES.length, 3, 1, "wasm"],
  );
  assert.ok(benchOptions(["--list"], undefined).list);
});

Deno.test("a command line that is wrong is told in a sentence", () => {
  const refused = (args: string[], message: RegExp) =>
    assert.throws(() => benchOptions(args, undefined), { message });
  refused([], /^Expected --model, or a folder with SmolLM2.* in SPIEL_MODELS/);
  refused(["--model", "m", "--rounds", "0"], /^--rounds is 0; expected a whole number of at least/);
  refused(["--model", "m", "--steps", "2.5"], /^--steps is 2.5; expected/);
  refused(["--model", "m", "--threads", ""], /^--threads is ; expected/);
  refused(["--model", "m", "--host", "gpu"], /^--host is gpu; expected one of auto, native, wasm/);
  refused(["--modle", "m"], /--modle/);
});

Deno.test("numbers of a few runs", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([7]), 7);
  assert.ok(Number.isNaN(median([])));
  assert.equal(largest([1, null, 3]), 3);
  assert.equal(largest([null]), null);
  assert.equal(round(123_456), 123_500);
});
