/** `doctor`: what this machine can do, what is missing, and what to do about it. */

import { type Engine, type GpuList, open } from "../../mod.ts";
import { makeCommand, parseFlags } from "../flags.ts";
import { formatAmount } from "../format.ts";
import { gpuAdvice, showGpus } from "../gpus.ts";
import { standardOutput } from "../streams.ts";
import { environment, openUi, type Ui } from "../ui.ts";

/** What opening a host led to. */
interface HostReport {
  host: "native" | "wasm";
  usable: boolean;
  device: string;
  adapter: string;
  threads: number;
  version: string;
  /** Why it was chosen, or why it cannot be used. */
  reason: string;
  /** Why this device was chosen. */
  device_reason: string;
  /** The GPUs that this host sees. */
  gpu: GpuList | null;
}

/** A host that does not open. */
const UNUSABLE = {
  usable: false,
  device: "",
  adapter: "",
  threads: 0,
  version: "",
  device_reason: "",
  gpu: null,
};

/** What `--json` prints. */
interface Report {
  deno: string;
  platform: string;
  cores: number;
  native_library: string | null;
  hosts: HostReport[];
  permissions: Record<string, string>;
  advice: string[];
}

async function tryHost(host: "native" | "wasm"): Promise<HostReport> {
  let engine: Engine;
  try {
    engine = await open({ host });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ...UNUSABLE, host, reason };
  }
  await using held = engine;
  const { device, deviceReason, adapter, threads, version, reason } = held.info;
  return {
    ...{ host, usable: true, device, adapter, threads, version, reason },
    device_reason: deviceReason,
    gpu: await held.gpus(),
  };
}

/** The environment variables that anything here looks at. */
const VARIABLES = [
  "SPIEL_NATIVE_LIB",
  "SPIEL_DEBUG",
  "NO_COLOR",
  "XDG_RUNTIME_DIR",
  "LOG_TOKENS",
  "LOG_STREAM",
];

function stateOf(name: "read" | "write" | "ffi" | "net"): string {
  const { state, partial } = Deno.permissions.querySync({ name });
  if (state === "prompt") return "not granted";
  return partial ? "partly denied" : state;
}

function environmentState(): string {
  const states = VARIABLES.map((variable) =>
    Deno.permissions.querySync({ name: "env", variable }).state
  );
  const granted = states.filter((state) => state === "granted").length;
  if (granted === VARIABLES.length) return "granted";
  return granted === 0 ? "not granted" : "partly";
}

function permissions(): Record<string, string> {
  const names = ["read", "write", "ffi", "net"] as const;
  const states = names.map((name) => [name, stateOf(name)]);
  return { ...Object.fromEntries(states), env: environmentState() };
}

/**
 * What to do next.
 *
 * @param isClone Whether the program runs from files, where things can be built, and not from a URL.
 */
export function adviceFor(
  hosts: readonly Pick<HostReport, "host" | "usable">[],
  granted: Readonly<Record<string, string>>,
  isClone: boolean,
): string[] {
  const usable = (name: HostReport["host"]) => hosts.find(({ host }) => host === name)?.usable;
  const advice: string[] = [];
  if (!usable("native")) {
    const build = isClone
      ? "build the native engine, several times faster than WASM: npx -y deno@2.9.6 task build"
      : "build the native engine, several times faster than WASM, in a clone of the repository, and " +
        "name its file by --native-library";
    advice.push(
      granted["ffi"] === "not granted"
        ? "add --allow-ffi to let the native engine run, several times faster than WASM"
        : build,
    );
  }
  if (!usable("wasm")) {
    advice.push(
      isClone
        ? "restore lib/ from the repository, or build it: npx -y deno@2.9.6 task build:wasm"
        : "see that lib/ is served beside mod.ts",
    );
  }
  if (granted["read"] === "not granted") advice.push("add --allow-read for the model and the data");
  if (granted["write"] === "not granted") advice.push("add --allow-write for the run folder");
  if (advice.length > 0) return advice;
  return [
    isClone
      ? "all is ready: npx -y deno@2.9.6 task demo shows a short run"
      : "all is ready: train --help tells what a run takes",
  ];
}

function show(ui: Ui, report: Report): void {
  ui.facts([
    ["deno", report.deno],
    ["platform", report.platform],
    ["cores", String(report.cores)],
    ["SPIEL_NATIVE_LIB", report.native_library ?? "not set"],
    ...Object.entries(report.permissions).map(([name, state]) =>
      [`--allow-${name}`, state] as const
    ),
  ]);
  ui.line();
  for (const host of report.hosts) {
    const state = host.usable
      ? `${ui.paint("green", "ready")}: ${host.version}, ${host.device}, ${host.adapter}, ${
        formatAmount(host.threads, "thread")
      }`
      : `${ui.paint("yellow", "not usable")}: ${host.reason}`;
    ui.line(`  ${host.host.padEnd(6)}  ${state}`);
    if (host.gpu !== null) showGpus(ui, host.gpu);
  }
  ui.line();
  ui.line("next:");
  for (const line of report.advice) ui.line(`  - ${line}`);
}

/** Runs `doctor`. */
export async function runDoctor(args: readonly string[]): Promise<void> {
  const command = makeCommand("doctor", "Checks what this machine can do and what is missing.")
    .option("--json", "print one JSON object");
  const options = parseFlags(command, args);
  if (options === undefined) return;
  const hosts = [await tryHost("native"), await tryHost("wasm")];
  const [native, wasm] = hosts.map(({ gpu }) => gpu);
  const granted = permissions();
  const report: Report = {
    deno: Deno.version.deno,
    platform: `${Deno.build.os} ${Deno.build.arch}`,
    cores: navigator.hardwareConcurrency,
    native_library: environment("SPIEL_NATIVE_LIB") ?? null,
    hosts,
    permissions: granted,
    advice: [
      ...adviceFor(hosts, granted, import.meta.url.startsWith("file:")),
      ...gpuAdvice(native ?? null, wasm ?? null),
    ],
  };
  const ui = openUi(options["json"] === true);
  standardOutput.endWithReader();
  if (ui.json) ui.data(report);
  else show(ui, report);
}
