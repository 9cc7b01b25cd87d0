/** What a host's GPUs are, and what to do so that there is one to compute on. */

import { formatBytes, type GpuInfo, type GpuList } from "../mod.ts";
import type { Ui } from "./ui.ts";

const INDENT = " ".repeat(10);

function isHardware({ software, problem }: GpuInfo): boolean {
  return !software && problem === null;
}

/** Shows every GPU in two lines. */
export function showGpus(ui: Ui, { supported, gpus, problem }: GpuList): void {
  if (!supported) {
    ui.line(`${INDENT}GPUs: not in this build; npx -y deno@2.9.6 task build:gpu adds them`);
  } else if (gpus.length === 0) {
    ui.line(`${INDENT}GPUs: ${problem}`);
  }
  for (const gpu of gpus) {
    ui.line(`${INDENT}GPU ${gpu.index}: ${gpu.name}, ${stateOf(ui, gpu)}`);
    const { limits } = gpu;
    const about = [
      gpu.kind,
      gpu.backend,
      gpu.driver,
      gpu.pciId ?? "",
      `buffers to ${formatBytes(limits.maxBufferSize)}`,
      `bindings to ${formatBytes(limits.maxStorageBufferBindingSize)}`,
      ...gpu.features,
    ];
    ui.line(ui.paint("dim", `${INDENT}  ${about.filter((word) => word !== "").join(", ")}`));
  }
}

function stateOf(ui: Ui, { problem, software }: GpuInfo): string {
  if (problem !== null) return ui.paint("yellow", `not usable: ${problem}`);
  if (software) return ui.paint("yellow", "software, needs --allow-software");
  return ui.paint("green", "ready");
}

/**
 * What to do so that the native engine computes on a GPU.
 *
 * @param native What the native engine says, if it is usable.
 * @param wasm What the WASM engine says, which is always built for GPUs, if it is usable.
 */
export function gpuAdvice(native: GpuList | null, wasm: GpuList | null): string[] {
  if (native === null) return [];
  if (native.supported) return native.problem === null ? [] : [`for a GPU: ${native.problem}`];
  const build = "npx -y deno@2.9.6 task build:gpu";
  const seen = wasm?.gpus.find(isHardware);
  return seen === undefined
    ? [
      `for a GPU: ${build} builds the engine that computes on one, and doctor then says what it lacks`,
    ]
    : [`to compute on ${seen.name} natively: ${build}`];
}
