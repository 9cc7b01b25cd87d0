/** WASM modules that stand in for the engine's in its workers: all that a thread needs, and nothing that computes. */

/** Waits for as long as there is a 0 at address 0, where the engine has nothing, and reaches what cannot be reached. */
const TRAPS_WHEN_TOLD = [0x41, 0, 0x41, 0, 0x42, 0x7F, 0xFE, 1, 2, 0, 0x1A, 0];

const BODIES = { returns: [], traps: [0], trapsWhenTold: TRAPS_WHEN_TOLD };

/** Of the threads that start, the first one that adds to address 4 traps, and all others wait for what never comes. */
const ONE_TRAPS = [
  ...[0x41, 4, 0x41, 1, 0xFE, 0x1E, 2, 0, 0x45, 0x04, 0x40, 0, 0x0B],
  ...[0x41, 0, 0x41, 0, 0x42, 0x7F, 0xFE, 1, 2, 0, 0x1A],
];

const STARTS = { starts: [], oneTraps: ONE_TRAPS };

/** Has the thread of a module that waits for this trap. */
export function tellToTrap(memory: WebAssembly.Memory): void {
  const words = new Int32Array(memory.buffer, 0, 1);
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
}

/** A module on a shared memory whose thread, once it runs, does so, if it starts at all. */
export function threadModule(
  does: keyof typeof BODIES,
  start: keyof typeof STARTS = "starts",
): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.of(
    ...[0, 0x61, 0x73, 0x6D, 1, 0, 0, 0],
    // Types: nothing to nothing, i32 to nothing.
    ...section(1, 2, 0x60, 0, 0, 0x60, 1, 0x7F, 0),
    // A shared memory of 1 to 65,536 pages.
    ...section(2, 1, ...name("env"), ...name("memory"), 2, 3, 1, 0x80, 0x80, 4),
    ...section(3, 3, 0, 1, 0),
    ...section(
      7,
      3,
      ...[...name("__wbindgen_start"), 0, 0],
      ...[...name("runThread"), 0, 1],
      ...[...name("__wbindgen_thread_destroy"), 0, 2],
    ),
    ...section(10, 3, ...body(...STARTS[start]), ...body(...BODIES[does]), ...body()),
  ));
}

function section(id: number, ...bytes: number[]): number[] {
  return [id, bytes.length, ...bytes];
}

/** A function's code without variables. */
function body(...code: number[]): number[] {
  return [code.length + 2, 0, ...code, 0x0B];
}

function name(text: string): number[] {
  return [text.length, ...new TextEncoder().encode(text)];
}
