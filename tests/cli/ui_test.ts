/** What the terminal shows: lines, status, colours, tables, numbers and curves. */

import assert from "node:assert/strict";
import { drawCurve } from "../../cli/chart.ts";
import { formatDuration, formatRate, formatShare } from "../../cli/format.ts";
import { Ui } from "../../cli/ui.ts";
import { formatBytes } from "../../mod.ts";
import { rememberingTerminal } from "./terminal_fixture.ts";

Deno.test("people read standard output, or standard error where programs read the other", () => {
  const plain = rememberingTerminal();
  new Ui(plain, false).line("hello");
  assert.deepEqual([plain.out, plain.err], ["hello\n", ""]);
  const json = rememberingTerminal();
  const ui = new Ui(json, true);
  ui.line("hello");
  ui.data({ event: "step", loss: 1 });
  assert.deepEqual([json.out, json.err], ['{"event":"step","loss":1}\n', "hello\n"]);
});

Deno.test("a status line gives way to lines, comes back, and keeps within the width", () => {
  const terminal = rememberingTerminal({ interactive: true, columns: 10 });
  const ui = new Ui(terminal, false);
  ui.status("0123456789abc");
  ui.line("done");
  ui.clearStatus();
  const clear = "\r\x1b[2K";
  assert.equal(terminal.out, `${clear}012345678${clear}done\n${clear}012345678${clear}`);
});

Deno.test("where nobody reads along there is no status line and no colour", () => {
  const terminal = rememberingTerminal();
  const ui = new Ui(terminal, false);
  ui.status("step 1");
  ui.clearStatus();
  ui.line(ui.paint("red", "plain"));
  assert.equal(terminal.out, "plain\n");
});

Deno.test("colours on a terminal", () => {
  const ui = new Ui(rememberingTerminal({ interactive: true, colour: true }), false);
  assert.equal(ui.paint("red", "x"), "\x1b[31mx\x1b[0m");
});

Deno.test("tables align words at the left and numbers at the right", () => {
  const terminal = rememberingTerminal();
  new Ui(terminal, false).table(["what", "bytes"], [["weights", "1,024"], ["x", "7"]]);
  assert.equal(terminal.out, "  what     bytes\n  weights  1,024\n  x            7\n");
});

Deno.test("numbers as people read them", () => {
  assert.deepEqual([0, 1023, 1536, 2 ** 31].map(formatBytes), [
    "0 B",
    "1023 B",
    "1.5 KiB",
    "2.0 GiB",
  ]);
  assert.deepEqual([0, 9.9, 42, 59.6, 200, 7500, Infinity].map(formatDuration), [
    "0.0 s",
    "9.9 s",
    "42 s",
    "1 m 00 s",
    "3 m 20 s",
    "2 h 05 m",
    "?",
  ]);
  assert.deepEqual([0, 0.00095].map(formatRate), ["0", "9.5e-4"]);
  assert.equal(formatShare(0.0123), "1.23 %");
});

const curveOf = (values: number[]) => values.map((value, index) => ({ step: index + 1, value }));

Deno.test("a falling curve runs from the top left to the bottom right, above its steps", () => {
  assert.deepEqual(drawCurve(curveOf([3, 2, 1]), { width: 10, height: 3 }), [
    "   3.000 | *",
    "         |  *",
    "   1.000 |   *",
    "           1   3",
  ]);
});

Deno.test("a curve stands by its steps, however often it was measured", () => {
  const points = [[10, 4], [20, 3], [25, 3], [26, 3], [27, 3], [28, 3], [30, 2]]
    .map(([step, value]) => ({ step: step!, value: value! }));
  assert.deepEqual(drawCurve(points, { width: 7, height: 3 }), [
    "   4.000 | *",
    "         |    * *",
    "   2.500 |       *",
    "           10   30",
  ]);
});

Deno.test("a long curve is thinned to the width, a short one is not drawn", () => {
  const long = curveOf(Array.from({ length: 1000 }, (_, step) => 1000 - step));
  const lines = drawCurve(long, { width: 20, height: 4 });
  assert.equal(lines.length, 5);
  assert.ok(lines.every((line) => line.length <= 11 + 20));
  assert.equal(lines.at(-1), `${" ".repeat(11)}1${" ".repeat(15)}1000`);
  assert.deepEqual(drawCurve(curveOf([1]), { width: 10, height: 3 }), []);
  assert.deepEqual(drawCurve(curveOf([1, NaN]), { width: 10, height: 3 }), []);
});
