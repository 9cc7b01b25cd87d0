/** Tables separated by commas, or by semicolons where a comma is a decimal point. */
import type { FileKind } from "./record_file.ts";
import { TableFile } from "./table.ts";
import { looksLikeTable } from "./table_head.ts";

const SEPARATORS = ",;";

export const csv: FileKind = {
  name: "CSV",
  expected: "a row of column names and a row per record",
  where: (name, { line }) => `${name}:${line}`,
  recognises: (head) => looksLikeTable(head, ".csv", SEPARATORS),
  open: (path, name) => Promise.try(() => new TableFile(csv, path, name, SEPARATORS)),
};
