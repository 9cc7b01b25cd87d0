/** One typed operation per request of the protocol, over any transport. Calls run one after another. */

import { SpielError } from "../errors.ts";
import { engineFailure } from "./failure.ts";
import { type Batch, batchBytes, bytesOf, shapeOf, type StateArray, viewAs } from "./payload.ts";
import type {
  DeviceChoice,
  EngineInfo,
  ForwardOutput,
  GpuList,
  GradientTrial,
  GrowthCriterion,
  Loss,
  MemoryTable,
  ModelConfig,
  ModelOptions,
  ModelPlan,
  ModuleReselection,
  OptimizerUpdate,
  Profile,
  Reply,
  Request,
  StateField,
  UpdateInfo,
  WeightFormat,
} from "./protocol.gen.ts";
import type { Transport } from "./transport.ts";

export type { Batch, StateArray } from "./payload.ts";

const EMPTY = new Uint8Array(0);

/** Elements of an array. */
export interface ElementRange {
  /** The first. */
  readonly offset: number;
  /** How many; `null` for all that follow. */
  readonly count: number | null;
}

/** The numbers of a reselection; see the protocol's `deltaReselect`. */
export interface ReselectionRequest {
  /** What ranks the positions to grow. */
  criterion: GrowthCriterion;
  /** Share of each module's deltas to replace, 0 to 1. */
  rate: number;
  /** Micro-batches per step, which turns a window's samples into an age. */
  gradientAccumulationSteps: number;
  /** AdamW's decay of the first moment. */
  beta1: number;
  /** AdamW's decay of the second moment. */
  beta2: number;
}

/** Where an engine runs: the native library, or the WASM module in this process. */
export type Host = "native" | "wasm";

/** A transport, and where it leads. */
export interface HostedTransport {
  /** The way to the engine. */
  readonly transport: Transport;
  /** Where the engine runs. */
  readonly host: Host;
  /** The engine's version. */
  readonly version: string;
  /** Why this host was taken. */
  readonly reason: string;
}

/** What to open an engine on. */
export interface DeviceOptions {
  /** `auto` takes a hardware GPU where the build and the machine have one, else the CPU. */
  device: DeviceChoice;
  /** Threads of the CPU device; all cores when absent, in WASM at most 8. */
  threads?: number | undefined;
  /** The GPU to open: its index in `gpus()`, its PCI id or a part of its name. */
  gpu?: string | undefined;
  /** Whether device `gpu` may be a software adapter; `auto` never takes one. */
  allowSoftware?: boolean | undefined;
}

/** What was opened, and why. */
export interface OpenInfo extends EngineInfo, Omit<HostedTransport, "transport"> {}

/**
 * An open engine. It holds at most one model.
 *
 * Every operation rejects with a `SpielError`: `device` when this machine cannot do what is asked,
 * `data` when the arguments came from bad files, `interrupted` when the GPU went away, `internal` for our
 * own faults, after which the engine takes no more requests.
 */
export class Engine implements Disposable, AsyncDisposable {
  #tail: Promise<unknown> = Promise.resolve();
  #fault: string | undefined;
  #closed = false;

  #info: OpenInfo | undefined;

  private constructor(private readonly transport: Transport) {}

  /**
   * Opens a device behind a transport, and owns the transport from then on.
   *
   * @param hosted The transport and what is known of its host.
   * @param options The device and what is asked of it.
   */
  static async open(
    { transport, host, version, reason }: HostedTransport,
    { device, threads, gpu, allowSoftware }: DeviceOptions,
  ): Promise<Engine> {
    const engine = new Engine(transport);
    const request = {
      device,
      threads: threads ?? null,
      gpu: gpu ?? null,
      allowSoftware: allowSoftware ?? false,
    };
    try {
      const { kind: _, ...info } = await engine.#ask("engineInfo", {
        op: "engineOpen",
        ...request,
      });
      engine.#info = { ...info, host, version, reason };
      return engine;
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /** Host, device, processor or adapter, threads, the formats it reads, and why this host was taken. */
  get info(): OpenInfo {
    if (this.#info === undefined) throw new SpielError("internal", "The engine is not open");
    return this.#info;
  }

  /** The GPUs of this machine as this engine sees them, whatever device it has opened. */
  async gpus(): Promise<GpuList> {
    const { kind: _, ...list } = await this.#ask("gpuList", { op: "gpuList" });
    return list;
  }

  /** The bytes that the engine holds now, by purpose. */
  async stats(): Promise<MemoryTable> {
    return await this.#ask("memoryTable", { op: "engineStats" });
  }

  /** Counts and times what operations do from now on, or no longer. */
  async switchProfile(on: boolean): Promise<void> {
    await this.#ask("done", { op: "profileSwitch", on });
  }

  /** What was counted since the last call, once all of it has happened; profiling is then off. */
  async readProfile(): Promise<Profile> {
    const { kind: _, ...profile } = await this.#ask("profile", { op: "profileRead" });
    return profile;
  }

  /** What a model would take, and what it is made of; allocates nothing. */
  async planModel(config: ModelConfig, options: ModelOptions): Promise<ModelPlan> {
    return await this.#ask("modelPlan", { op: "modelCreate", config, options, dryRun: true });
  }

  /** Allocates a model in place of any earlier one. Its weights are to be written or initialised. */
  async createModel(config: ModelConfig, options: ModelOptions): Promise<ModelPlan> {
    return await this.#ask("modelPlan", { op: "modelCreate", config, options, dryRun: false });
  }

  /** Writes stored bytes of a tensor, from a byte offset that is a multiple of its format's block. */
  async writeTensor(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#ask("done", { op: "tensorWrite", name, offset }, bytes);
  }

  /** Quantises the scales of a whole NF4 tensor in turn, as bitsandbytes does. */
  async quantizeScales(name: string): Promise<void> {
    await this.#ask("done", { op: "tensorQuantizeScales", name });
  }

  /** Fills all weights for training from scratch; `std` is that of matrices and embeddings. */
  async initTensors(seed: number, std: number): Promise<void> {
    await this.#ask("done", { op: "tensorInit", seed, std });
  }

  /** Reads `rows` rows of a tensor from `row` on, encoded as `format`, with deltas added if `merged`. */
  async readTensor(
    name: string,
    row: number,
    rows: number,
    format: WeightFormat,
    merged: boolean,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const request = { op: "tensorRead", name, row, rows, format, merged } as const;
    return (await this.#request("arrayInfo", request)).payload;
  }

  /** Gives a module `count` deltas of zero, at random positions drawn from `seed`. */
  async attachDeltas(module: string, count: number, seed: number): Promise<void> {
    await this.#ask("done", { op: "deltaAttach", module, count, seed });
  }

  /** Gives a module deltas of zero at given positions: sorted, unique flat row-major indices. */
  async attachDeltasAt(module: string, indices: Uint32Array): Promise<void> {
    const request = { op: "deltaAttach", module, count: indices.length, seed: 0 } as const;
    await this.#ask("done", request, bytesOf(indices));
  }

  /**
   * Measures the ways in which the device can compute the gradients at the attached deltas, and takes the faster one for
   * each size of module. All give the same bits. Empty where there is one way only.
   */
  async tryGradients(): Promise<GradientTrial[]> {
    return (await this.#ask("gradientTrials", { op: "gradientsTry" })).trials;
  }

  /** Reads an array of a module's deltas or of a fully trained tensor, or elements of it. */
  async readState(
    name: string,
    field: StateField,
    { offset, count }: ElementRange = { offset: 0, count: null },
  ): Promise<StateArray> {
    const request = { op: "stateRead", name, field, offset, count } as const;
    const { header, payload } = await this.#request("arrayInfo", request);
    return viewAs(header.dtype, payload);
  }

  /**
   * Writes elements of an array of a module's deltas or of a fully trained tensor, from `offset` on.
   *
   * Indices of candidates cannot be written once a window has chosen its own; `resumeCandidates` checks them.
   */
  async writeState(
    name: string,
    field: StateField,
    values: StateArray,
    offset = 0,
  ): Promise<void> {
    await this.#ask("done", { op: "stateWrite", name, field, offset }, bytesOf(values));
  }

  /** Opens a selection window: the next backward picks the candidates, later ones accumulate at them. */
  async beginCandidates(): Promise<void> {
    await this.#ask("done", { op: "candidatesBegin" });
  }

  /** Closes the window and forgets its candidates. */
  async endCandidates(): Promise<void> {
    await this.#ask("done", { op: "candidatesEnd" });
  }

  /** Opens a window that has seen `samples` micro-batches, when a run resumes inside it. */
  async resumeCandidates(samples: number): Promise<void> {
    await this.#ask("done", { op: "candidatesResume", samples });
  }

  /** Drops the smallest deltas of every module and grows as many. */
  async reselect(request: ReselectionRequest): Promise<ModuleReselection[]> {
    return (await this.#ask("reselection", { op: "deltaReselect", ...request })).modules;
  }

  /** Runs the model forward; the output's shape is given at `ForwardOutput`. */
  async forward(
    batch: Batch,
    output: ForwardOutput = "loss",
  ): Promise<{ loss: Loss; output: Float32Array<ArrayBuffer> }> {
    const request = { op: "forward", batch: shapeOf(batch), output } as const;
    const { header, payload } = await this.#request("loss", request, batchBytes(batch));
    return { loss: header, output: viewAs("f32", payload) as Float32Array<ArrayBuffer> };
  }

  /**
   * Runs forward and backward, adding `lossScale` times the summed loss to the loss of the next update, and the
   * gradient of this to its gradients; a GPU may still be at it.
   */
  async forwardBackward(batch: Batch, lossScale: number): Promise<void> {
    const request = { op: "forwardBackward", batch: shapeOf(batch), lossScale } as const;
    await this.#ask("done", request, batchBytes(batch));
  }

  /**
   * Scales the gradients so that their norm is at most the limit, updates what is trained and clears the gradients; a
   * GPU may still be at it. An update whose loss or gradients are not finite is skipped, and all that follow it.
   */
  async optimizerStep(update: OptimizerUpdate): Promise<void> {
    await this.#ask("done", { op: "optimizerStep", update });
  }

  /** Waits for the last update: its loss, the norm of its gradients, and which one was the first to be skipped. */
  async readUpdate(): Promise<UpdateInfo> {
    const { kind: _, ...info } = await this.#ask("updateInfo", { op: "updateRead" });
    return info;
  }

  /** Clears the gradients, and the loss that they are of, without an update; updates are skipped no longer. */
  async clearGrads(): Promise<void> {
    await this.#ask("done", { op: "gradClear" });
  }

  /** Starts a generation with an empty cache for `maxTokens` tokens. */
  async beginGeneration(maxTokens: number): Promise<void> {
    await this.#ask("done", { op: "generateBegin", maxTokens });
  }

  /** Feeds tokens and returns the logits after the last one, `[V]`. */
  async feed(tokens: Uint32Array): Promise<Float32Array<ArrayBuffer>> {
    const { payload } = await this.#request(
      "arrayInfo",
      { op: "generateForward" },
      bytesOf(tokens),
    );
    return viewAs("f32", payload) as Float32Array<ArrayBuffer>;
  }

  /** Frees the generation's cache. */
  async endGeneration(): Promise<void> {
    await this.#ask("done", { op: "generateEnd" });
  }

  /** Converts `elements` stored elements from one format into another. */
  async convert(
    bytes: Uint8Array,
    from: WeightFormat,
    to: WeightFormat,
    elements: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return (await this.#request("arrayInfo", { op: "convert", from, to, elements }, bytes)).payload;
  }

  /** Runs a dense product of zeros `repeats` times, for the caller to time. */
  async runProduct(
    tokens: number,
    inputs: number,
    outputs: number,
    repeats: number,
  ): Promise<void> {
    await this.#ask("done", { op: "productRun", tokens, inputs, outputs, repeats });
  }

  /** Runs the probes of what the device can do at most, `repeats` times, for a profile to time. */
  async runProbes(repeats: number): Promise<void> {
    await this.#ask("done", { op: "probeRun", repeats });
  }

  /** Frees the engine once the calls under way are done. Closing twice is harmless. */
  async close(): Promise<void> {
    if (!this.#closed) this.#tail = this.#tail.then(() => this.transport.close());
    this.#closed = true;
    await this.#tail;
  }

  /** Closes the engine without waiting for it. */
  [Symbol.dispose](): void {
    void this.close();
  }

  /** Closes the engine. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #ask<Kind extends Reply["kind"]>(
    kind: Kind,
    request: Request,
    payload: Uint8Array = EMPTY,
  ): Promise<Extract<Reply, { kind: Kind }>> {
    return (await this.#request(kind, request, payload)).header;
  }

  #request<Kind extends Reply["kind"]>(
    kind: Kind,
    request: Request,
    payload: Uint8Array = EMPTY,
  ): Promise<{ header: Extract<Reply, { kind: Kind }>; payload: Uint8Array<ArrayBuffer> }> {
    if (this.#closed) {
      return Promise.reject(new SpielError("internal", "The engine is closed"));
    }
    const result = this.#tail.then(() => this.#send(kind, request, payload));
    this.#tail = result.catch(() => {});
    return result;
  }

  async #send<Kind extends Reply["kind"]>(kind: Kind, request: Request, payload: Uint8Array) {
    if (this.#fault !== undefined) throw new SpielError("internal", this.#fault);
    const message = await this.transport.call(JSON.stringify(request), payload);
    const header = JSON.parse(message.header) as Reply;
    if (header.kind === "error") {
      if (header.code === "internal") {
        this.#fault = `The engine stopped after a fault of its own: ${header.message}`;
      }
      throw engineFailure(request.op, header);
    }
    if (header.kind !== kind) {
      throw new SpielError("internal", `The engine answered ${request.op} with "${header.kind}"`);
    }
    return { header: header as Extract<Reply, { kind: Kind }>, payload: message.payload };
  }
}
