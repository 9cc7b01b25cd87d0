/** An engine on the CPU that poses as a GPU and fails at one request, as a GPU without memory or a lost one does. */

import { Engine } from "../../src/engine/engine.ts";
import { open } from "../../src/engine/open.ts";
import type { Opener } from "../../src/engine/preferred.ts";
import type { ErrorInfo, Reply, Request } from "../../src/engine/protocol.gen.ts";
import type { Message, Transport } from "../../src/engine/transport.ts";
import { openWasm } from "../../src/engine/wasm.ts";

/** The failure of a request; undefined for those that succeed. */
export type Failing = (request: Request) => ErrorInfo | undefined;

class PosingGpu implements Transport {
  constructor(readonly inner: Transport, readonly failing: Failing) {}

  async call(header: string, payload: Uint8Array): Promise<Message> {
    const request = JSON.parse(header) as Request;
    const failure = this.failing(request);
    if (failure !== undefined) {
      return { header: JSON.stringify({ kind: "error", ...failure }), payload: new Uint8Array(0) };
    }
    if (request.op !== "engineOpen") return await this.inner.call(header, payload);
    const asked = { ...request, device: "cpu", gpu: null };
    const answer = await this.inner.call(JSON.stringify(asked), payload);
    const reply = JSON.parse(answer.header) as Reply;
    const info = { ...reply, device: "gpu", deviceReason: "the preferred GPU", adapter: "Poser" };
    return { ...answer, header: JSON.stringify(info) };
  }

  close(): void {
    this.inner.close();
  }
}

/** Opens the poser where a GPU would be opened, and the real CPU where it is named. */
export function posingOpener(failing: Failing): Opener {
  return async (options) => {
    if (options.device === "cpu") return await open({ ...options, host: "wasm" });
    const { transport, version } = await openWasm();
    const posing = new PosingGpu(transport, failing);
    const hosted = { transport: posing, host: "wasm", version, reason: "a test" } as const;
    return await Engine.open(hosted, { device: options.device ?? "auto", gpu: options.gpu });
  };
}
