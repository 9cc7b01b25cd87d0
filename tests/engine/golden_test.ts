/** The golden families, on every host and device: what the check scripts find, within its bounds. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Check } from "../support/check.ts";
import { checkAdapters } from "../support/check_adapters.ts";
import { checkModel } from "../support/check_model.ts";
import { checkQuant } from "../support/check_quant.ts";
import { checkSmollm2 } from "../support/check_smollm2.ts";
import { checkTrace } from "../support/check_trace.ts";
import { gpuDevices, HOSTED_DEVICES, isRequired } from "../support/hosts.ts";

const GOLDEN = fileURLToPath(new URL("../golden/", import.meta.url));

/** The folder of large models, which `SPIEL_REQUIRE` may ask for with the word `models`. */
const MODELS = Deno.env.get("SPIEL_MODELS");

/** A golden folder and the check for it. */
interface Golden {
  readonly folder: string;
  readonly check: Check;
  /** The file in the folder of large models that the check needs. */
  readonly model?: string;
  /** Members of the JSON line that the copies here must give. */
  readonly details?: Record<string, unknown>;
}

const GOLDENS: readonly Golden[] = [
  { folder: "tiny_llama", check: checkModel },
  { folder: "tiny_llama_tied_rope3", check: checkModel },
  // Made as the two before, by transformers 5.23.0; gradients of stacked matrices are those of their parts.
  { folder: "tiny_phi3", check: checkModel },
  // Made by make_architectures.py beside them.
  { folder: "tiny_granite", check: checkModel },
  { folder: "tiny_smollm3", check: checkModel },
  { folder: "tiny_olmo2", check: checkModel },
  // Made by `gemma.py` beside them.
  { folder: "tiny_gemma", check: checkModel },
  { folder: "tiny_gemma2", check: checkModel },
  { folder: "tiny_gemma3", check: checkModel },
  { folder: "sft_trace_ag", check: checkTrace },
  { folder: "sft_trace_ma", check: checkTrace },
  {
    folder: "quant",
    check: checkQuant,
    details: { unsupported: [] },
  },
  {
    folder: "adapters",
    check: checkAdapters,
    details: {
      checked: [
        "dora_r4",
        "ia3",
        "lora_r4",
        "lora_r4_rslora",
        "sft_fork_bf16",
        "sft_fork_f32",
        "shira",
        "supertuning",
        "supertuning_from_sft",
        "supertuning_noindices",
        "supra_r4",
      ],
      unsupported: {},
    },
  },
  { folder: "smollm2", check: checkSmollm2, model: "SmolLM2-135M-Instruct.Q4_1.gguf" },
];

/** The path of a large model, which must be there. */
function modelPath(file: string): string {
  assert.ok(MODELS !== undefined, "SPIEL_MODELS names no folder of models");
  const path = `${MODELS}/${file}`;
  assert.ok(existsSync(path), `SPIEL_MODELS holds no ${file}`);
  return path;
}

for (const place of [...HOSTED_DEVICES, ...await gpuDevices()]) {
  for (const { folder, check, model, details = {} } of GOLDENS) {
    const lacksModel = model !== undefined && MODELS === undefined && !isRequired("models");
    const name = `golden: ${folder} (${place.name})`;
    Deno.test(name, { ignore: place.ignore || lacksModel }, async () => {
      const options = model === undefined ? {} : { model: modelPath(model) };
      await using engine = await place.open();
      const found = await check(engine, GOLDEN + folder, options);
      const { largest, broken } = found.deviations;
      assert.ok(Object.keys(largest).length > 0, "nothing was compared");
      assert.deepEqual(broken, [], JSON.stringify({ largest, ...found.details }));
      for (const [key, value] of Object.entries(details)) {
        assert.deepEqual(found.details?.[key], value, key);
      }
    });
  }
}
