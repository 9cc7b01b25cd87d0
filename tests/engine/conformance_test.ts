/** Every operation of the GPU against the CPU, over `navigator.gpu`. `cargo test` runs the same cases natively. */

import assert from "node:assert/strict";
import { EngineWorkers } from "../../src/engine/wasm_workers.ts";
import { gpuDevices } from "../support/hosts.ts";
import { Conformance, takeFailure } from "../conformance/spiel_conformance.js";

const place = (await gpuDevices()).find(({ host }) => host === "wasm")!;

/** The case whose trap has left the module in an unknown state. */
let trapped: string | undefined;

/** Runs a case to its end; a disagreement is thrown as an error that says where. */
async function run(number: number, name: string): Promise<void> {
  assert.equal(trapped, undefined, "nothing runs after a trap");
  const conformance = new Conformance(number);
  // Its wait keeps the process alive, which a change of the module's memory does not.
  const workers = new EngineWorkers();
  try {
    while (!conformance.poll()) await workers.wait(conformance.woken());
  } catch (cause) {
    trapped = name;
    const { message } = JSON.parse(takeFailure() ?? `{ "message": "${cause}" }`);
    throw new Error(message, { cause });
  }
  conformance.free();
}

for (const [number, name] of Conformance.names().entries()) {
  const title = `conformance: ${name} (${place.name})`;
  Deno.test(title, { ignore: place.ignore }, () => run(number, name));
}
