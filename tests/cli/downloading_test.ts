/** What people see of a download: one line as it begins, what it waits for, and then how far it is. */

import assert from "node:assert/strict";
import { DownloadView } from "../../cli/downloading.ts";
import { Ui } from "../../cli/ui.ts";
import type { DownloadProgress } from "../../mod.ts";
import { rememberingTerminal } from "./terminal_fixture.ts";

/** What is shown of some states of one download, one after another. */
function shown(...states: Partial<DownloadProgress>[]): string {
  const terminal = rememberingTerminal();
  const view = new DownloadView(new Ui(terminal, false));
  const file = { name: "web/a.csv", files: 0, totalFiles: 1, bytes: 0, totalBytes: 0 };
  for (const state of states) view.show({ ...file, ...state });
  return terminal.out;
}

Deno.test("a download is told once, with its size", () => {
  const states = [0, 512, 1024].map((bytes) => ({ bytes, totalBytes: 1024 }));
  assert.equal(shown(...states), "downloading web/a.csv: 1 file, 1.0 KiB\n");
  assert.equal(
    shown(...states.slice(1)),
    "downloading web/a.csv: 1 file, 1.0 KiB, 512 B of them there\n",
  );
});

Deno.test("a download of unknown size is told once, as soon as something comes", () => {
  const states = [0, 1000, 2000, 3000].map((bytes) => ({ bytes }));
  assert.equal(shown(...states), "downloading web/a.csv: 1 file\n");
});

Deno.test("what is waited for is told, and nothing when it comes", () => {
  const waiting = "web has sent nothing for 5 s; waiting";
  assert.equal(shown({ waiting }, { waiting }, {}), `web/a.csv: ${waiting}\n`);
});
