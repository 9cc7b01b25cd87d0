/** Tables separated by tabulators. */
import type { FileKind } from "./record_file.ts";
import { TableFile } from "./table.ts";
import { looksLikeTable } from "./table_head.ts";

const SEPARATORS = "\t";

export const tsv: FileKind = {
  name: "TSV",
  expected: "a row of column names and a row per record",
  where: (name, { line }) => `${name}:${line}`,
  recognises: (head) => looksLikeTable(head, ".tsv", SEPARATORS),
  open: (path, name) => Promise.try(() => new TableFile(tsv, path, name, SEPARATORS)),
};
