/**
 * The manifest of a checkpoint folder: which files belong to it, their sizes and SHA-256, and a
 * digest of itself, so that any changed bit in the folder is found.
 */

import { createHash } from "node:crypto";
import { z } from "npm:zod@4.6.7";
import { SpielError } from "../errors.ts";
import { firstIssue } from "../io/issue.ts";

export const MANIFEST_NAME = "manifest.json";

const FORMAT = "spiel-checkpoint";
const FORMAT_VERSION = 1;

// A plain name: no file outside the folder can be listed.
const fileName = z.string().regex(/^\w[\w.-]*$/);

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  format_version: z.literal(FORMAT_VERSION),
  step: z.int().min(0),
  files: z.record(fileName, z.strictObject({ size: z.int().min(0), sha256: z.string() })),
});

/** File name → size in bytes and SHA-256 in hexadecimal. */
export type ManifestFiles = z.infer<typeof manifestSchema>["files"];

/** A folder whose content is not what was saved. Internal: the loader falls back on it. */
export class DamagedCheckpoint extends Error {}

/** The bytes of `manifest.json`; equal for equal arguments. */
export function encodeManifest(step: number, files: ManifestFiles): Uint8Array {
  const sorted = Object.fromEntries(
    Object.entries(files).sort(([a], [b]) => a < b ? -1 : 1),
  );
  return seal({ format: FORMAT, format_version: FORMAT_VERSION, step, files: sorted });
}

/**
 * The files that a manifest lists.
 *
 * @param step the step in the folder's name, which the manifest must confirm.
 * @throws DamagedCheckpoint when it is not a manifest as it was written.
 * @throws SpielError "environment" when it is intact and of a newer format.
 */
export function decodeManifest(bytes: Uint8Array, step: number): ManifestFiles {
  const { digest: _, ...body } = parseObject(bytes);
  if (!equalBytes(seal(body), bytes)) {
    throw new DamagedCheckpoint(`${MANIFEST_NAME} does not match its own digest`);
  }
  if (Number(body.format_version) > FORMAT_VERSION) {
    throw new SpielError(
      "environment",
      `Checkpoint of step ${step} has format version ${body.format_version}, ` +
        `and this program reads versions up to ${FORMAT_VERSION}; use the newer program`,
    );
  }
  const manifest = manifestSchema.safeParse(body);
  if (!manifest.success) {
    throw new DamagedCheckpoint(`${MANIFEST_NAME}: ${firstIssue(manifest.error)}`);
  }
  if (manifest.data.step !== step) {
    throw new DamagedCheckpoint(`${MANIFEST_NAME} is of step ${manifest.data.step}, not ${step}`);
  }
  return manifest.data.files;
}

/** Measures a file whose bytes come in parts. */
export class FileMeasure {
  readonly #hash = createHash("sha256");
  #size = 0;

  add(part: Uint8Array): void {
    this.#hash.update(part);
    this.#size += part.length;
  }

  /** Size and SHA-256 of all parts. To be asked once. */
  entry(): ManifestFiles[string] {
    return { size: this.#size, sha256: this.#hash.digest("hex") };
  }
}

/** @throws DamagedCheckpoint when what was read is not the listed file. */
export function verifyFile(
  name: string,
  listed: ManifestFiles[string],
  found: ManifestFiles[string],
): void {
  if (found.size !== listed.size) {
    throw new DamagedCheckpoint(`${name} has ${found.size} bytes, expected ${listed.size}`);
  }
  if (found.sha256 !== listed.sha256) {
    throw new DamagedCheckpoint(`${name} does not match its SHA-256`);
  }
}

function seal(body: Record<string, unknown>): Uint8Array {
  const digest = createHash("sha256").update(JSON.stringify(body)).digest("hex");
  return new TextEncoder().encode(JSON.stringify({ ...body, digest }, null, 2) + "\n");
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new DamagedCheckpoint(`${MANIFEST_NAME} is not JSON`, { cause: error });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new DamagedCheckpoint(`${MANIFEST_NAME} is not a JSON object`);
  }
  return parsed as Record<string, unknown>;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
