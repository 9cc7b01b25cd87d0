/**
 * A small engine in TypeScript behind the real protocol, for tests of the side that drives it. Every module is its own
 * least-squares problem: the loss of a token is the squared distance of the deltas from values that a hash of position
 * and token gives. Its state (deltas, moments, ages, candidates) behaves as the real one's, so that resuming can be tested.
 */

import {
  type Optimizer,
  PROTOCOL_HASH,
  type Reply,
  type Request,
} from "../../src/engine/protocol.gen.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Message, Transport } from "../../src/engine/transport.ts";
import { type Field, floatsOf, type Module, momentum, reseat, sm3, value } from "./fake_module.ts";

type Of<Op extends Request["op"]> = Extract<Request, { op: Op }>;
type Answer = { header: Reply; payload?: ArrayBufferView };

const ROWS = 8;
const DONE: Answer = { header: { kind: "done" } };
/** What a device was asked for before anything. */
export const NOTHING_ASKED = {
  dispatches: 0,
  submissions: 0,
  readBacks: 0,
  readBytes: 0,
  writtenBytes: 0,
};

/** A transport to an engine in this process. */
export class FakeEngine implements Transport {
  /** Every request's operation, in order. */
  readonly log: string[] = [];
  /** Called before each request; may throw, or return a reply in the engine's place. */
  intercept: ((request: Request) => Reply | undefined) | undefined;
  closed = false;
  #modules = new Map<string, Module>();
  #vocabulary = 0;
  #optimizer: Optimizer = "adamw";
  /** Micro-batches that the open window has seen; undefined when none is open. */
  #samples: number | undefined;
  #lastNorm = 0;
  #lastLoss = 0;
  /** Of the next update. */
  #openLoss = 0;

  /** Every array of every module. */
  get state(): Map<string, Map<Field, Uint32Array | Float32Array>> {
    return new Map([...this.#modules].map(([name, { fields }]) => [name, fields]));
  }

  call(header: string, payload: Uint8Array): Promise<Message> {
    const request = JSON.parse(header) as Request;
    this.log.push(request.op);
    const answer = this.#answer(request, payload.slice());
    const { buffer, byteOffset, byteLength } = answer.payload ?? new Uint8Array(0);
    const bytes = new Uint8Array(byteLength);
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength));
    return Promise.resolve({ header: JSON.stringify(answer.header), payload: bytes });
  }

  close(): void {
    this.closed = true;
  }

  #answer(request: Request, payload: Uint8Array<ArrayBuffer>): Answer {
    const instead = this.intercept?.(request);
    if (instead !== undefined) return { header: instead };
    switch (request.op) {
      case "engineOpen":
        return {
          header: {
            kind: "engineInfo",
            device: "cpu",
            deviceReason: "asked for",
            adapter: "fake",
            threads: 1,
            precisions: ["f32"],
            formats: [{ format: "f32", blockElements: 1, blockBytes: 4 }],
          },
        };
      case "engineStats":
        return { header: { kind: "memoryTable", rows: [], totalBytes: 0 } };
      case "profileRead":
        return {
          header: {
            ...{ kind: "profile", operations: [], totals: NOTHING_ASKED },
            ...{ calls: [], earlierCalls: 0 },
          },
        };
      case "modelCreate":
        return this.#create(request);
      case "deltaAttach":
        return this.#attach(request, new Uint32Array(payload.buffer));
      case "stateRead":
        return this.#read(request);
      case "stateWrite":
        return this.#write(request, payload);
      case "gradientsTry":
        return { header: { kind: "gradientTrials", trials: [] } };
      case "candidatesBegin":
        this.#samples = 0;
        return DONE;
      case "candidatesEnd":
        this.#samples = undefined;
        return DONE;
      case "candidatesResume":
        this.#samples = request.samples;
        return DONE;
      case "deltaReselect":
        return this.#reselect(request);
      case "forward":
        return { header: { kind: "loss", ...this.#loss(tokensOf(request, payload)) } };
      case "forwardBackward":
        return this.#backward(request, tokensOf(request, payload));
      case "updateRead":
        return { header: this.#updateInfo() };
      case "optimizerStep":
        return this.#update(request);
      case "generateForward":
        return array(this.#logits(new Uint32Array(payload.buffer)));
      case "tensorRead":
        return array(new Float32Array(request.rows * 8).fill(request.row));
      default:
        return DONE;
    }
  }

  #create({ config, options, dryRun }: Of<"modelCreate">): Answer {
    this.#optimizer = options.optimizer;
    this.#vocabulary = config.vocab_size;
    const projections = Array.from(
      { length: config.num_hidden_layers },
      (_, layer) =>
        ["self_attn.q_proj", "mlp.up_proj"].map((name) => `model.layers.${layer}.${name}`),
    ).flat();
    if (!dryRun) {
      this.#modules = new Map(
        projections.map((name) => [name, { columns: config.hidden_size, fields: new Map() }]),
      );
      this.#samples = undefined;
    }
    const embedding = [config.vocab_size, config.hidden_size];
    const tensors = [
      {
        name: "model.embed_tokens.weight",
        shape: embedding,
        format: "f32" as const,
        deltaModule: null,
      },
      ...projections.map((module) => ({
        name: `${module}.weight`,
        shape: [ROWS, config.hidden_size],
        format: "f32" as const,
        deltaModule: module,
      })),
    ];
    const parameters = tensors.reduce(
      (sum, { shape }) => sum + (shape[0] ?? 0) * (shape[1] ?? 1),
      0,
    );
    const memory = {
      rows: [{ purpose: "weights", bytes: 4 * parameters }],
      totalBytes: 4 * parameters,
    };
    return { header: { kind: "modelPlan", memory, tensors, parameters, precision: "f32" } };
  }

  #module(name: string): Module {
    const module = this.#modules.get(name);
    if (module === undefined) throw new Error(`Fake engine has no module ${name}`);
    return module;
  }

  #attach({ module, count, seed }: Of<"deltaAttach">, given: Uint32Array<ArrayBuffer>): Answer {
    const { columns, fields } = this.#module(module);
    const stride = Math.floor(ROWS * columns / count);
    const indices = given.length > 0
      ? given
      : Uint32Array.from({ length: count }, (_, slot) => slot * stride + seed % stride);
    const floats = (length: number) => new Float32Array(length);
    fields.clear();
    fields.set("indices", indices).set("values", floats(count)).set("grads", floats(count));
    fields.set("ages", floats(count).fill(1)).set("expAvg", floats(count)).set(
      "expAvgSq",
      floats(count),
    );
    fields.set("rowAccumulator", floats(ROWS)).set("columnAccumulator", floats(columns));
    return DONE;
  }

  #read({ name, field, offset, count }: Of<"stateRead">): Answer {
    const held = this.#module(name).fields.get(field) ?? new Float32Array(0);
    return array(held.slice(offset, offset + (count ?? held.length)));
  }

  #write({ name, field, offset }: Of<"stateWrite">, payload: Uint8Array<ArrayBuffer>): Answer {
    const Values = field === "candidateIndices" ? Uint32Array : Float32Array;
    const { fields } = this.#module(name);
    const held = fields.get(field) ?? new Values(fields.get("indices")?.length ?? 0);
    held.set(new Values(payload.buffer), offset);
    fields.set(field, held);
    return DONE;
  }

  /** The value that token `token` pulls position `index` of a module towards. */
  #goal(columns: number, index: number, token: number): number {
    const mixed = Math.imul(index * 31 + columns * 7 + token * 101 + 1, 0x9E3779B1) >>> 0;
    return mixed / 2 ** 32 - 0.4;
  }

  #loss({ tokens, targets }: { tokens: Uint32Array; targets: Uint32Array }) {
    let sum = 0;
    let targetTokens = 0;
    for (const [t, target] of targets.entries()) {
      if (target === 0xFFFFFFFF) continue;
      targetTokens++;
      sum += 1;
      this.#eachDelta((module, slot, index) => {
        sum += (value(module, slot) - this.#goal(module.columns, index, tokens[t] ?? 0)) ** 2 / 64;
      });
    }
    return { sum, targetTokens };
  }

  #backward(
    { lossScale }: Of<"forwardBackward">,
    batch: ReturnType<typeof tokensOf>,
  ): Answer {
    this.#openLoss += lossScale * (this.#loss(batch).sum ?? NaN);
    const dense = (module: Module, index: number, at: number) => {
      let sum = 0;
      for (const [t, target] of batch.targets.entries()) {
        if (target !== 0xFFFFFFFF) {
          sum += at - this.#goal(module.columns, index, batch.tokens[t] ?? 0);
        }
      }
      return lossScale * sum / 32;
    };
    this.#eachDelta((module, slot, index) => {
      floatsOf(module, "grads")[slot]! += dense(module, index, value(module, slot));
    });
    if (this.#samples !== undefined) this.#accumulate(dense);
    return DONE;
  }

  #accumulate(dense: (module: Module, index: number, at: number) => number): void {
    for (const module of this.#modules.values()) {
      const indices = module.fields.get("indices");
      if (indices === undefined) continue;
      if (this.#samples === 0) {
        const all = Array.from({ length: ROWS * module.columns }, (_, index) => index);
        const size = (index: number) => Math.abs(dense(module, index, 0));
        const picked = all.sort((a, b) => size(b) - size(a) || a - b).slice(0, indices.length);
        module.fields.set("candidateIndices", Uint32Array.from(picked).sort());
        module.fields.set("candidateGrads", new Float32Array(picked.length));
        module.fields.set("candidateGradsSq", new Float32Array(picked.length));
      }
      for (const [slot, index] of module.fields.get("candidateIndices")!.entries()) {
        const grad = dense(module, index, 0);
        floatsOf(module, "candidateGrads")[slot]! += grad;
        floatsOf(module, "candidateGradsSq")[slot]! += grad * grad;
      }
    }
    this.#samples!++;
  }

  #gradNorm(): number {
    let sum = 0;
    this.#eachDelta((module, slot) => sum += floatsOf(module, "grads")[slot]! ** 2);
    return Math.sqrt(sum);
  }

  #updateInfo(): Reply {
    const [loss, gradNorm] = [this.#lastLoss, this.#lastNorm];
    return { kind: "updateInfo", loss, gradNorm, failedStep: null };
  }

  #update({ update }: Of<"optimizerStep">): Answer {
    const { maxGradNorm } = update;
    this.#lastNorm = this.#gradNorm();
    this.#lastLoss = this.#openLoss;
    this.#openLoss = 0;
    const scale = maxGradNorm === 0 ? 1 : Math.min(1, maxGradNorm / (this.#lastNorm + 1e-6));
    this.#eachDelta((module, slot, index) => {
      const grad = floatsOf(module, "grads")[slot]! * scale;
      floatsOf(module, "grads")[slot] = grad;
      if (this.#optimizer === "sm3") sm3(module, slot, index, update);
      else momentum(module, slot, update);
      floatsOf(module, "grads")[slot] = 0;
    });
    return DONE;
  }

  /** Replaces the smallest deltas by the first free candidates (or free positions), keeping indices sorted, and closes the window. */
  #reselect({ criterion, rate }: Of<"deltaReselect">): Answer {
    const modules = [...this.#modules].filter(([, { fields }]) => fields.has("indices"));
    this.#samples = undefined;
    return {
      header: {
        kind: "reselection",
        modules: modules.map(([name, module]) => {
          const active = [...module.fields.get("indices")!];
          const requested = Math.floor(active.length * rate);
          const pool = criterion === "accumulatedGradients"
            ? [...module.fields.get("candidateIndices")!]
            : Array.from({ length: ROWS * module.columns }, (_, index) => index);
          const grown = pool.filter((index) => !active.includes(index)).slice(0, requested);
          const size = (slot: number) => Math.abs(value(module, slot));
          const dropped = active.map((_, slot) => slot).sort((a, b) => size(a) - size(b) || a - b)
            .slice(0, grown.length);
          reseat(module, dropped, grown);
          return { module: name, requested, replaced: grown.length };
        }),
      },
    };
  }

  #logits(tokens: Uint32Array): Float32Array {
    const logits = new Float32Array(this.#vocabulary);
    logits[((tokens.at(-1) ?? 0) + 1) % this.#vocabulary] = 5;
    return logits;
  }

  #eachDelta(visit: (module: Module, slot: number, index: number) => void): void {
    for (const module of this.#modules.values()) {
      for (const [slot, index] of module.fields.get("indices")?.entries() ?? []) {
        visit(module, slot, index);
      }
    }
  }
}

/** An engine over a fake transport, and the transport to look into. */
export async function openFakeEngine(): Promise<{ engine: Engine; fake: FakeEngine }> {
  const fake = new FakeEngine();
  const hosted = {
    transport: fake,
    host: "wasm",
    version: PROTOCOL_HASH,
    reason: "a test",
  } as const;
  return { engine: await Engine.open(hosted, { device: "cpu" }), fake };
}

function tokensOf({ batch }: { batch: { tokens: number } }, payload: Uint8Array<ArrayBuffer>) {
  const tokens = new Uint32Array(payload.buffer, 0, batch.tokens);
  const targets = new Uint32Array(payload.buffer, 4 * batch.tokens, batch.tokens);
  return { tokens, targets };
}

function array(values: Uint32Array | Float32Array): Answer {
  const dtype = values instanceof Uint32Array ? "u32" : "f32";
  return { header: { kind: "arrayInfo", dtype, elements: values.length }, payload: values };
}
