/** The test command: installs what is missing, or says what to install, and runs the gate. */

import { formatCounts, NO_TESTS } from "./counts.ts";
import { ok } from "./ok.ts";
import { setUp } from "./setup.ts";

if (import.meta.main) {
  try {
    await setUp();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.log(formatCounts({ ...NO_TESTS, failed: 1 }));
    Deno.exit(78);
  }
  Deno.exit(await ok(Deno.args));
}
