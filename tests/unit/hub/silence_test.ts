/** Several files at once: a host's silence is told only where nothing comes of any of them. */
import assert from "node:assert/strict";
import { downloadData } from "../../../src/hub/hub.ts";
import { parseHubName } from "../../../src/hub/name.ts";
import { HubServer, noise } from "../../support/hub_server.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const NAME = parseHubName("dataset", "hf:org/data");
const CONTENT = noise(30_000);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function* slowly(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < CONTENT.length; at += 1000) {
    await pause(10);
    yield CONTENT.subarray(at, at + 1000);
  }
}

for (const [other, told] of [["comes", 0], ["is silent too", 1]] as const) {
  Deno.test(`a file is silent while another ${other}: waits that are told: ${told}`, () =>
    withTempDir(async (cache) => {
      await using server = new HubServer();
      server.add("datasets/org/data", { "train-0.jsonl": noise(2000), "train-1.jsonl": CONTENT });
      server.fault = async ({ host, path }) => {
        if (host !== "cdn") return undefined;
        const comes = path.endsWith("1.jsonl") && other === "comes";
        if (comes) return new Response(ReadableStream.from(slowly()));
        await pause(250);
        return undefined;
      };
      const hub = server.parts(cache);
      const policy = { ...hub.policy!, silentMs: 100, stallMs: 1000 };
      const waits = new Set<string>();
      const onDownload = ({ waiting }: { waiting?: string }) => waiting && waits.add(waiting);
      await downloadData(NAME, { hub: { ...hub, policy }, onDownload });
      assert.equal(waits.size, told);
    }));
}
