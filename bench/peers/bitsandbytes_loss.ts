/**
 * The held-out loss of a model's f32 weights, and of these as bitsandbytes quantises their layers to NF4, both computed
 * by PyTorch on the tokens that a run here has. Needs `SPIEL_PYTHON` with torch, transformers and bitsandbytes.
 *
 * `bitsandbytes_loss.ts --model FILE.gguf --eval-data FILE [--map FIELD=NAME,…] [--max-length N]`
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadDataset } from "../../src/data/load_dataset.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { dequantise } from "../dequantise.ts";
import { commandLine, count, telling } from "../flags.ts";
import { MeasurementFailure } from "../measurement.ts";

/** What PyTorch leaves out of the loss. */
const IGNORED = -100;

const { model, evalData, python, map, maxLength } = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      model: { type: "string" },
      "eval-data": { type: "string" },
      map: { type: "string", default: "prompt=question,completion=answer" },
      "max-length": { type: "string", default: "512" },
    },
  });
  const { model, "eval-data": evalData } = flags;
  const python = Deno.env.get("SPIEL_PYTHON");
  if (model === undefined || evalData === undefined || python === undefined) {
    throw new RangeError("Expected --model, --eval-data and SPIEL_PYTHON");
  }
  return {
    ...{ model, evalData, python },
    map: Object.fromEntries(flags.map.split(",").map((pair) => pair.split("="))),
    maxLength: count("--max-length", flags["max-length"]),
  };
});
await telling(measure);

async function measure(): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "spiel_bitsandbytes_" });
  try {
    const folder = join(work, "f32");
    await dequantise(model, folder);
    using dataset = await loadDataset({
      paths: [evalData],
      tokenizer: loadTokenizer(folder),
      maxLength,
      map,
    });
    const examples = Array.from({ length: dataset.length }, (_, index) => {
      const { ids, trained } = dataset.example(index);
      return { ids: [...ids], labels: Array.from(ids, (id, i) => trained[i] === 0 ? IGNORED : id) };
    });
    const file = join(work, "examples.json");
    await Deno.writeTextFile(file, JSON.stringify(examples));
    const script = new URL("bitsandbytes_loss.py", import.meta.url).pathname;
    const args = [decodeURIComponent(script), folder, file];
    const { code } = await new Deno.Command(python, { args }).spawn().status;
    if (code !== 0) throw new MeasurementFailure(`${script} ended with code ${code}`);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}
