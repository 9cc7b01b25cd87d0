/** More threads than cores are slower for nothing, which is said. */

import assert from "node:assert/strict";
import { crowdedWarning, PreferredEngine } from "../../src/engine/preferred.ts";

Deno.test("threads: more than there are cores are a warning, on the CPU alone", () => {
  assert.equal(crowdedWarning({ device: "cpu", threads: 2 }, 2), null);
  assert.equal(crowdedWarning({ device: "gpu", threads: 9 }, 2), null);
  const warning = (cores: number) => crowdedWarning({ device: "cpu", threads: 1000 }, cores);
  assert.equal(
    warning(2),
    "--threads 1000 is more than the 2 cores that are there, which is slower and gives the same results",
  );
  assert.match(warning(1)!, /^--threads 1000 is more than the one core that is there, /);
});

Deno.test("threads: whoever asks for too many hears of it once", async () => {
  const cores = navigator.hardwareConcurrency;
  for (const [threads, expected] of [[undefined, 0], [cores + 1, 1]] as const) {
    const warnings: string[] = [];
    const onWarning = (message: string) => void warnings.push(message);
    const options = { host: "wasm", device: "cpu", threads } as const;
    await using _preferred = await PreferredEngine.open(options, { onWarning });
    assert.equal(warnings.length, expected, warnings.join());
  }
});
