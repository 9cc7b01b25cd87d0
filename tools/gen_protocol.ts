/** Writes the TypeScript side of the protocol from its Rust types; `--check` only compares. */

import { execOrThrow } from "./exec.ts";
import { exitWith, readRepoFile, ROOT } from "./repo.ts";

const TARGET = "src/engine/protocol.gen.ts";

/** Prints the protocol from the Rust types, formatted as the repository is. */
async function generate(): Promise<string> {
  const raw = await execOrThrow([
    ...["cargo", "run", "--quiet", "--locked", "--package", "spiel-engine"],
    ...["--features", "gen", "--bin", "gen-protocol"],
  ]);
  return await execOrThrow([Deno.execPath(), "fmt", "--quiet", "--ext", "ts", "-"], { input: raw });
}

/** Compares the committed file with what the Rust types say. */
export async function checkProtocol(): Promise<string[]> {
  const committed = readRepoFile(TARGET);
  return await generate() === committed
    ? []
    : [`${TARGET}: differs from the Rust types; run \`deno task gen\``];
}

if (import.meta.main) {
  if (Deno.args.includes("--check")) exitWith(await checkProtocol(), `${TARGET} is up to date`);
  await Deno.writeTextFile(`${ROOT}/${TARGET}`, await generate());
  console.log(`wrote ${TARGET}`);
}
