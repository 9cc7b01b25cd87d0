/** `doctor`: what this machine can do, what is missing, and what to do about it. */

import { type Engine, open } from "../../mod.ts";
import { makeCommand, parseFlags } from "../flags.ts";
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
}

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
    return { host, usable: false, device: "", adapter: "", threads: 0, version: "", reason };
  }
  await using held = engine;
  const { device, adapter, threads, version, reason } = held.info;
  return { host, usable: true, device, adapter, threads, version, reason };
}

async function permissions(): Promise<Record<string, string>> {
  const names = ["read", "write", "ffi", "net", "env"] as const;
  const states = names.map(async (name) => {
    const { state, partial } = await Deno.permissions.query({ name });
    return [name, state === "prompt" ? (partial ? "partly" : "not granted") : state] as const;
  });
  return Object.fromEntries(await Promise.all(states));
}

function adviceFor(
  hosts: readonly HostReport[],
  granted: Readonly<Record<string, string>>,
): string[] {
  const [native, wasm] = hosts;
  const advice: string[] = [];
  if (native && !native.usable) {
    advice.push(
      granted["ffi"] === "not granted"
        ? "add --allow-ffi to let the native engine run, several times faster than WASM"
        : "build the native engine, several times faster than WASM: npx -y deno@2.9.6 task build",
    );
  }
  if (wasm && !wasm.usable) {
    advice.push("restore lib/ from the repository, or build it: npx -y deno@2.9.6 task build:wasm");
  }
  if (granted["read"] === "not granted") advice.push("add --allow-read for the model and the data");
  if (granted["write"] === "not granted") advice.push("add --allow-write for the run folder");
  if (advice.length === 0) {
    advice.push("all is ready: npx -y deno@2.9.6 task demo shows a short run");
  }
  return advice;
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
        host.threads === 1 ? "1 thread" : `${host.threads} threads`
      }`
      : `${ui.paint("yellow", "not usable")}: ${host.reason}`;
    ui.line(`  ${host.host.padEnd(6)}  ${state}`);
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
  const granted = await permissions();
  const report: Report = {
    deno: Deno.version.deno,
    platform: `${Deno.build.os} ${Deno.build.arch}`,
    cores: navigator.hardwareConcurrency,
    native_library: environment("SPIEL_NATIVE_LIB") ?? null,
    hosts,
    permissions: granted,
    advice: adviceFor(hosts, granted),
  };
  const ui = openUi(options["json"] === true);
  if (ui.json) ui.data(report);
  else show(ui, report);
}
