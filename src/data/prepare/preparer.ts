/** Makes prepared blocks, in this process or in a worker: the same ones either way. */
import { fileURLToPath } from "node:url";
import { isSpielError, SpielError, type SpielErrorKind } from "../../errors.ts";
import type { DataFile } from "../data_files.ts";
import { type Block, FILE_KINDS, openRecords, type RecordFile } from "../files/mod.ts";
import { FORMATS } from "../formats/mod.ts";
import {
  makeTokenizer,
  partsForWorker,
  type Tokenizer,
  type TokenizerParts,
} from "../tokenizer.ts";
import { BlockPreparer, type Encoding, type PreparedBlock } from "./block.ts";

/** Records between two tellings of progress. */
export const RECORDS_PER_TURN = 256;

/** Makes one block at a time. */
export interface Preparer extends Disposable {
  prepare(file: DataFile, block: Block): Promise<PreparedBlock>;
}

/** Told of every `RECORDS_PER_TURN` records, and awaited. */
export type OnRecords = (records: number) => void | Promise<void>;

/** Makes blocks in this process. */
export class LocalPreparer implements Preparer {
  readonly #blocks: BlockPreparer;
  readonly #onRecords: OnRecords;
  /** The file of the last block, open: what was learnt of it serves the next one as well. */
  #open: { content: string; path: string; records: RecordFile } | undefined;

  constructor(tokenizer: Tokenizer, encoding: Encoding, onRecords: OnRecords) {
    this.#blocks = new BlockPreparer(tokenizer, encoding);
    this.#onRecords = onRecords;
  }

  async prepare(file: DataFile, block: Block): Promise<PreparedBlock> {
    const records = await this.#recordsOf(file);
    let read = 0;
    return await this.#blocks.prepare(
      records.records(block),
      file.format,
      () => ++read % RECORDS_PER_TURN === 0 ? this.#onRecords(RECORDS_PER_TURN) : undefined,
    );
  }

  [Symbol.dispose](): void {
    this.#open?.records[Symbol.dispose]();
    this.#open = undefined;
  }

  async #recordsOf(file: DataFile): Promise<RecordFile> {
    const { content, path } = file;
    if (this.#open?.content === content && this.#open.path === path) return this.#open.records;
    this[Symbol.dispose]();
    const records = await openRecords(file);
    this.#open = { content, path, records };
    return records;
  }
}

/** What a worker is told first. */
export interface WorkerSetup {
  parts: TokenizerParts;
  encoding: Encoding;
}

/** What a worker is asked; kinds and formats by their names. */
export interface WorkerRequest {
  file: { path: string; content: string; kind: string; format: string };
  block: Block;
}

/** What a worker says. */
export type WorkerReply =
  | { records: number }
  | { prepared: PreparedBlock }
  | { failure: { kind: SpielErrorKind; message: string } };

/** Makes blocks in a worker. */
export class WorkerPreparer implements Preparer {
  readonly #worker: Worker;
  readonly #onRecords: OnRecords;
  #settle: PromiseWithResolvers<PreparedBlock> | null = null;

  /** @throws {SpielError} kind "environment" when Deno may not read the program that workers run. */
  constructor(tokenizer: Tokenizer, encoding: Encoding, onRecords: OnRecords) {
    this.#onRecords = onRecords;
    this.#worker = new Worker(workerModule(), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#settle?.reject(workerFailure(event.message));
    };
    const setup: WorkerSetup = { parts: partsForWorker(tokenizer), encoding };
    this.#worker.postMessage(setup);
  }

  prepare({ path, content, kind, format }: DataFile, block: Block): Promise<PreparedBlock> {
    this.#settle = Promise.withResolvers();
    const file = { path, content, kind: kind.name, format: format.name };
    this.#worker.postMessage({ file, block } satisfies WorkerRequest);
    return this.#settle.promise;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }

  #hear(reply: WorkerReply): void {
    if ("records" in reply) {
      Promise.try(this.#onRecords, reply.records).catch((error) => this.#settle?.reject(error));
    } else if ("prepared" in reply) {
      this.#settle?.resolve(reply.prepared);
    } else {
      this.#settle?.reject(new SpielError(reply.failure.kind, reply.failure.message));
    }
  }
}

/** What a worker does: it takes its setup, then request after request. */
export class WorkerSide {
  readonly #reply: (reply: WorkerReply, transfer: ArrayBuffer[]) => void;
  readonly #local: LocalPreparer;

  constructor(
    { parts, encoding }: WorkerSetup,
    reply: (reply: WorkerReply, transfer: ArrayBuffer[]) => void,
  ) {
    this.#reply = reply;
    const onRecords = (records: number) => reply({ records }, []);
    this.#local = new LocalPreparer(makeTokenizer(parts), encoding, onRecords);
  }

  async answer({ file, block }: WorkerRequest): Promise<void> {
    const kind = FILE_KINDS.find(({ name }) => name === file.kind)!;
    const format = FORMATS.find(({ name }) => name === file.format)!;
    try {
      const prepared = await this.#local.prepare({ ...file, kind, format }, block);
      const buffers = Object.values(prepared.arrays).map(({ buffer }) => buffer);
      this.#reply({ prepared }, buffers);
    } catch (error) {
      if (!isSpielError(error)) throw error;
      this.#reply({ failure: { kind: error.kind, message: error.message } }, []);
    }
  }
}

/** Where the module is that a worker runs. What a program imports may be run anyway; of a worker's modules Deno asks. */
function workerModule(): URL {
  const url = new URL("./worker.ts", import.meta.url);
  if (url.protocol !== "file:") return url;
  const path = fileURLToPath(new URL("../../", import.meta.url));
  if (Deno.permissions.querySync({ name: "read", path }).state === "granted") return url;
  throw new SpielError(
    "environment",
    `Data is prepared by workers, whose program may not be read: add --allow-read=${path} to the deno command; ` +
      "data_workers 0 prepares it without workers",
  );
}

function workerFailure(reason: string): SpielError {
  return new SpielError(
    "internal",
    `A worker that prepares data has failed: ${reason}; data_workers 0 prepares it without workers`,
  );
}
