/**
 * The hosts and devices that engine tests run on. `SPIEL_REQUIRE` names those that must be present, such as
 * `native:cpu,wasm:cpu`; without it a native library that is not built is skipped.
 */

import type { Engine, Host } from "../../src/engine/engine.ts";
import { open, type OpenOptions } from "../../src/engine/open.ts";
import { findNativeLibrary } from "../../src/engine/native_library.ts";
import type { DeviceChoice } from "../../src/engine/protocol.gen.ts";

/** The pairs that are tested wherever they exist. */
const KNOWN = ["native:cpu", "wasm:cpu"];

const REQUIRED = (Deno.env.get("SPIEL_REQUIRE") ?? "").split(",").filter((name) => name !== "");

/** One place where the engine runs. */
export interface HostedDevice {
  /** Such as `native:cpu`. */
  readonly name: string;
  readonly host: Host;
  readonly device: DeviceChoice;
  /** Whether this machine lacks it and may. */
  readonly ignore: boolean;
  open(options?: Pick<OpenOptions, "threads">): Promise<Engine>;
}

/** Whether `SPIEL_REQUIRE` names something, so that its absence is a failure. */
export function isRequired(name: string): boolean {
  return REQUIRED.includes(name);
}

function hostedDevice(name: string): HostedDevice {
  const [host, device] = name.split(":") as [Host, DeviceChoice];
  // The WASM build is part of the repository; a build that is there but stale or broken must fail.
  const isMissing = host === "native" && "missing" in findNativeLibrary();
  return {
    name,
    host,
    device,
    ignore: isMissing && !isRequired(name),
    open: (options = {}) => open({ host, device, ...options }),
  };
}

const PAIRS = [...KNOWN, ...REQUIRED.filter((name) => name.includes(":"))];

/** Every pair that is known or required. */
export const HOSTED_DEVICES: readonly HostedDevice[] = [...new Set(PAIRS)].map(hostedDevice);

/** Registers one test for each host and device, with an engine that is closed afterwards. */
export function engineTest(name: string, run: (engine: Engine) => Promise<void>): void {
  for (const place of HOSTED_DEVICES) {
    Deno.test(`${name} (${place.name})`, { ignore: place.ignore }, async () => {
      await using engine = await place.open();
      await run(engine);
    });
  }
}
