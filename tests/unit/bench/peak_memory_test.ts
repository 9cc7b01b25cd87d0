/** Peak memory of a measuring process: its own, whatever started it. */

import assert from "node:assert/strict";
import { highWaterMark, peakMemory } from "../../../bench/peak_memory.ts";

Deno.test("peak memory is read from a process's status", () => {
  assert.equal(
    highWaterMark("VmPeak:\t   90 kB\nVmHWM:\t   37432 kB\nVmRSS:\t   12 kB\n"),
    38_330_368,
  );
  assert.equal(highWaterMark("Name:\tdeno\n"), null);
});

Deno.test({
  name: "peak memory is not that of the process that started this one",
  // Elsewhere the system tells no other number.
  ignore: Deno.build.os !== "linux",
  async fn() {
    const held = new Uint8Array(2 ** 28);
    // Pages that were never written to are not in memory.
    for (let at = 0; at < held.length; at += 4096) held[at] = 1;
    assert.ok(peakMemory()! >= held.length);
    const module = new URL("../../../bench/peak_memory.ts", import.meta.url).href;
    const code = `console.log((await import(${JSON.stringify(module)})).peakMemory())`;
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
    const peak = Number(new TextDecoder().decode(stdout));
    assert.ok(peak > 2 ** 24 && peak < held.length, `${peak} of another process's ${held.length}`);
  },
});
