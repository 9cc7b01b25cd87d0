/** Shows plain JSON to people: facts in lines, lists of alike things in tables. */

import { formatCount, printable } from "./format.ts";
import type { Ui } from "./ui.ts";

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "number") {
    return Number.isInteger(value) ? formatCount(value) : String(Number(value.toPrecision(6)));
  }
  if (Array.isArray(value) && !value.some(isObject)) return value.map(cell).join(", ") || "-";
  return typeof value === "object" ? JSON.stringify(value) : printable(String(value));
}

/** Rows of objects under the union of their keys; `names` are the rows' names, if they have any. */
function showTable(ui: Ui, rows: readonly JsonObject[], names?: readonly string[]): void {
  const keys = [...new Set(rows.flatMap(Object.keys))];
  const head = names === undefined ? keys : ["name", ...keys];
  ui.table(
    head,
    rows.map((row, index) => {
      const cells = keys.map((key) => cell(row[key]));
      return names === undefined ? cells : [cell(names[index]), ...cells];
    }),
  );
}

function showBlock(ui: Ui, value: JsonObject | readonly JsonObject[]): void {
  if (Array.isArray(value)) return showTable(ui, value);
  const entries = Object.entries(value);
  const objects = entries.map(([, item]) => item).filter(isObject);
  if (objects.length === entries.length) {
    showTable(ui, objects, entries.map(([name]) => name));
  } else ui.facts(entries.map(([name, item]) => [cell(name), cell(item)]));
}

/** Shows single facts first, then a block for each fact that has parts. */
export function showFacts(ui: Ui, facts: JsonObject): void {
  const blocks: [string, JsonObject | readonly JsonObject[]][] = [];
  const lines: [string, string][] = [];
  for (const [name, value] of Object.entries(facts)) {
    const isTable = Array.isArray(value) && value.length > 0 && value.every(isObject);
    if (isTable || (isObject(value) && Object.keys(value).length > 0)) blocks.push([name, value]);
    else lines.push([name, isObject(value) ? "-" : cell(value)]);
  }
  ui.facts(lines);
  for (const [name, block] of blocks) {
    ui.line();
    ui.line(ui.paint("bold", name));
    showBlock(ui, block);
  }
}
