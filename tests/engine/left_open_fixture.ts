/** Computes on two threads of the WASM engine, prints their number and forgets to close it. */

import { open } from "../../src/engine/open.ts";

const engine = await open({ host: "wasm", device: "cpu", threads: 2 });
await engine.runProduct(8, 8, 8, 1);
console.log(engine.info.threads);
