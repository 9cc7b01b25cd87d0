/** Preloaded into a process, makes every pass of the WASM engine end by a trap, as a fault of the engine would. */

import { WasmEngine } from "../../lib/spiel_engine.js";

/** `unreachable`, in a module of its own: header, one type, one function, its export "f" and its body. */
const MODULE = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6D, 1, 0, 0, 0],
  ...[1, 4, 1, 0x60, 0, 0],
  ...[3, 2, 1, 0],
  ...[7, 5, 1, 1, 0x66, 0, 0],
  ...[10, 5, 1, 3, 0, 0, 0x0B],
);

const trap = new WebAssembly.Instance(new WebAssembly.Module(MODULE)).exports.f as () => never;
const start = WasmEngine.prototype.start;

WasmEngine.prototype.start = function (header, payload) {
  return JSON.parse(header).op === "forwardBackward" ? trap() : start.call(this, header, payload);
};
