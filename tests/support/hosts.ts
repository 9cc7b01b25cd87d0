/**
 * The hosts and devices that engine tests run on. `SPIEL_REQUIRE` names those that must be present, such as
 * `native:cpu,wasm:cpu,native:gpu,wasm:gpu`; without it those that this machine lacks are skipped. Tests
 * take software adapters too.
 */

import type { Engine, Host } from "../../src/engine/engine.ts";
import { isSpielError } from "../../src/errors.ts";
import { open, type OpenOptions } from "../../src/engine/open.ts";
import { findNativeLibrary } from "../../src/engine/native_library.ts";
import type { DeviceChoice } from "../../src/engine/protocol.gen.ts";

/** The pairs that all tests run on. */
const CPU_PAIRS = ["native:cpu", "wasm:cpu"];

/** The pairs for tests that cost little where a CPU plays the GPU. */
const GPU_PAIRS = ["native:gpu", "wasm:gpu"];

const REQUIRED = (Deno.env.get("SPIEL_REQUIRE") ?? "").split(",").filter((name) => name !== "");

/** One place where the engine runs. */
export interface HostedDevice {
  /** Such as `native:cpu`. */
  readonly name: string;
  readonly host: Host;
  readonly device: DeviceChoice;
  /** Whether this machine lacks it and may. */
  readonly ignore: boolean;
  open(options?: Pick<OpenOptions, "threads" | "gpu">): Promise<Engine>;
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
    open: (options = {}) => open({ host, device, allowSoftware: device === "gpu", ...options }),
  };
}

/** Both hosts' CPU. */
export const HOSTED_DEVICES: readonly HostedDevice[] = CPU_PAIRS.map(hostedDevice);

/** Both hosts' GPU; opens each once, to see whether this machine has it. */
export async function gpuDevices(): Promise<HostedDevice[]> {
  return await Promise.all(GPU_PAIRS.map(async (name) => {
    const place = hostedDevice(name);
    return { ...place, ignore: place.ignore || !isRequired(name) && !await opens(place) };
  }));
}

async function opens(place: HostedDevice): Promise<boolean> {
  try {
    await using _ = await place.open();
    return true;
  } catch (error) {
    // A build that is stale or broken must fail in its tests.
    return !(isSpielError(error) && error.kind === "device");
  }
}

/** Registers one test for each host and device, with an engine that is closed afterwards. */
export function engineTest(
  name: string,
  run: (engine: Engine) => Promise<void>,
  places: readonly HostedDevice[] = HOSTED_DEVICES,
): void {
  for (const place of places) {
    Deno.test(`${name} (${place.name})`, { ignore: place.ignore }, async () => {
      await using engine = await place.open();
      await run(engine);
    });
  }
}
