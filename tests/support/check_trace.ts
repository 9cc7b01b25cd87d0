/** Checks a folder of a reference training trace: losses, candidates, reselections, values and optimiser state. */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Batch, Engine } from "../../src/engine/engine.ts";
import { IGNORE, type StateField } from "../../src/engine/protocol.gen.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { type Growth, GROWTHS } from "../../src/spiel/growth/mod.ts";
import { actionsAfter, type ScheduleConfig } from "../../src/spiel/schedule.ts";
import { type CheckResult, Deviations, main, numbersOf } from "./check.ts";
import { compareSelections, difference, type Selection } from "./selection_cut.ts";

/**
 * Fair f32 bounds, as the goldens' README states them. Of an accumulator, the part beyond 1e-5 of its size. Candidates
 * have none there: moments seeded from sums this close keep theirs.
 */
const BOUNDS = {
  loss: 1e-4,
  values: 2e-5,
  expAvg: 1e-6,
  expAvgSq: 1e-7,
  accumulator: 1e-6,
  candidateGrads: 1e-5,
  candidateGradsSq: 1e-6,
};
const ACCUMULATOR_RELATIVE = 1e-5;

interface Trace {
  /** Begins with the base model's folder, relative to the trace's. */
  base_model: string;
  sft_config: {
    selection_algorithm: string;
    reselection_steps: number;
    selection_accumulation_steps: number;
    reselection_rate_policy: "linear" | "cosine";
    initial_reselection_rate: number;
  };
  hyperparameters: {
    steps: number;
    grad_accum: number;
    lr: number;
    weight_decay: number;
    eps: number;
    betas: [number, number];
  };
  modules_in_optimizer_order: string[];
  k: Record<string, number>;
  losses: number[][];
}

/** Trains as the trace did and compares at every point that it recorded. */
export async function checkTrace(engine: Engine, folder: string): Promise<CheckResult> {
  const trace = JSON.parse(readFileSync(join(folder, "trace.json"), "utf8")) as Trace;
  using data = SafetensorsFile.open(join(folder, "data.safetensors"));
  using snapshots = SafetensorsFile.open(join(folder, "snapshots.safetensors"));
  using reselections = SafetensorsFile.open(join(folder, "reselections.safetensors"));
  const growth = GROWTHS.find(({ selectionAlgorithm }) =>
    selectionAlgorithm === trace.sft_config.selection_algorithm
  );
  if (growth === undefined) throw new Error(`${folder}: unknown selection_algorithm`);
  const replay = new Replay(engine, trace, growth, snapshots, reselections);
  const batches = microBatches(data);
  const largest = Math.max(...batches.map(({ tokens }) => tokens.length));
  await replay.load(baseModel(folder, trace), largest);
  await replay.run(batches);
  return {
    deviations: replay.deviations,
    details: {
      steps: trace.losses.length,
      mismatched_indices: replay.mismatched,
      mismatched_at_cut: replay.mismatchedAtCut,
    },
  };
}

function baseModel(folder: string, trace: Trace): string {
  const [name = ""] = trace.base_model.split(" ");
  const path = resolve(folder, name);
  if (existsSync(path)) return path;
  throw new Error(`${folder}: base model "${name}" is not beside ${dirname(resolve(folder))}`);
}

/** Every row of the data as a packed micro-batch without its padding. */
function microBatches(data: SafetensorsFile): Batch[] {
  const [count = 0, sequences = 0, length = 0] = data.entry("data.input_ids").shape;
  const [ids, mask, labels] = ["input_ids", "attention_mask", "labels"].map((name) =>
    numbersOf(data, `data.${name}`)
  ) as [number[], number[], number[]];
  return Array.from({ length: count }, (_, row) => {
    const tokens: number[] = [], targets: number[] = [], cuSeqlens = [0];
    for (let sequence = 0; sequence < sequences; sequence++) {
      const first = (row * sequences + sequence) * length;
      for (let i = first; i < first + length; i++) {
        if (mask[i] !== 1) continue;
        const isLast = i + 1 === first + length || mask[i + 1] !== 1;
        tokens.push(ids[i]!);
        targets.push(isLast || labels[i + 1] === -100 ? IGNORE : labels[i + 1]!);
      }
      cuSeqlens.push(tokens.length);
    }
    return {
      tokens: Uint32Array.from(tokens),
      targets: Uint32Array.from(targets),
      cuSeqlens: Uint32Array.from(cuSeqlens),
    };
  });
}

class Replay {
  readonly deviations = new Deviations();
  /** Positions in one of ours and the reference's sets and not in the other. */
  mismatched = 0;
  /** Dropped and grown positions among them that lie at the cut, which breaks no bound. */
  mismatchedAtCut = 0;
  /** Active positions that may differ since they lay at a cut, by module. */
  readonly #atCut = new Map<string, Set<number>>();
  readonly #schedule: ScheduleConfig;

  constructor(
    private readonly engine: Engine,
    private readonly trace: Trace,
    private readonly growth: Growth,
    private readonly snapshots: SafetensorsFile,
    private readonly reselections: SafetensorsFile,
  ) {
    const config = trace.sft_config;
    this.#schedule = {
      totalSteps: trace.hyperparameters.steps,
      reselectionSteps: config.reselection_steps,
      selectionAccumulationSteps: config.selection_accumulation_steps,
      initialReselectionRate: config.initial_reselection_rate,
      reselectionRatePolicy: config.reselection_rate_policy,
      firstReplacesAll: true,
    };
  }

  async load(model: string, microBatchTokens: number): Promise<void> {
    using source = openModelSource(model);
    await loadModel(this.engine, source, {
      ...inferenceUse(microBatchTokens),
      trainable: "deltas",
      candidates: this.growth.needsWindow,
      optimizer: this.growth.optimizer,
      deltas: () => Object.entries(this.trace.k).map(([module, count]) => ({ module, count })),
    });
    for (const module of this.trace.modules_in_optimizer_order) {
      const indices = numbersOf(this.snapshots, `step00.start.${module}.indices`);
      await this.engine.attachDeltasAt(module, Uint32Array.from(indices).sort());
    }
  }

  async run(batches: Batch[]): Promise<void> {
    const { engine, trace } = this;
    const { steps, grad_accum, lr, weight_decay, eps, betas } = trace.hyperparameters;
    const [beta1, beta2] = betas;
    let micro = 0;
    await this.#begin(0);
    for (let step = 1; step <= steps; step++) {
      const expected = trace.losses[step - 1]!;
      for (let pass = 0; pass < expected.length; pass++) {
        const batch = batches[micro++ % batches.length]!;
        const targets = batch.targets.filter((target) => target !== IGNORE).length;
        await engine.forwardBackward(batch, 1 / (targets * grad_accum));
      }
      await engine.optimizerStep({
        learningRate: lr,
        weightDecay: weight_decay,
        beta1,
        beta2,
        epsilon: eps,
        maxGradNorm: 0,
        step,
      });
      const mean = expected.reduce((sum, loss) => sum + loss, 0) / grad_accum;
      const { loss } = await engine.readUpdate();
      this.deviations.note("loss", Math.abs(loss! - mean), BOUNDS.loss);
      const { reselect } = actionsAfter(step, this.#schedule);
      await this.#begin(step);
      if (reselect !== null) await this.#reselect(step, reselect.rate, [beta1, beta2]);
    }
    await this.#compareState(`step${pad(steps)}.end`);
  }

  async #begin(step: number): Promise<void> {
    if (this.growth.needsWindow && actionsAfter(step, this.#schedule).candidatesBegin) {
      await this.engine.beginCandidates();
    }
  }

  async #reselect(step: number, rate: number, [beta1, beta2]: [number, number]): Promise<void> {
    const tag = `step${pad(step)}`;
    await this.#compareState(`${tag}.before_reselect`);
    if (this.growth.needsWindow) await this.#compareCandidates(tag);
    const before = await this.#indices();
    const gradientAccumulationSteps = this.trace.hyperparameters.grad_accum;
    const { criterion } = this.growth;
    await this.engine.reselect({ criterion, rate, gradientAccumulationSteps, beta1, beta2 });
    const after = await this.#indices();
    for (const [module, old] of before) {
      const now = after.get(module)!;
      const { dropped, grown } = this.#selections(tag, module);
      this.#compareSelection("dropped", module, difference(old, now), dropped);
      this.#compareSelection("grown", module, difference(now, old), grown);
    }
    await this.#compareState(`${tag}.after_reselect`);
  }

  async #compareCandidates(tag: string): Promise<void> {
    for (const module of this.trace.modules_in_optimizer_order) {
      const key = `${tag}.${module}.candidate_`;
      const indices = numbersOf(this.reselections, `${key}indices`);
      const ours = await this.engine.readState(module, "candidateIndices");
      this.#compareSets("candidates", module, [...ours], indices);
      await this.#compareMap(
        module,
        ours,
        "candidateGrads",
        [`${key}grads`, indices],
        BOUNDS.candidateGrads,
      );
      const squares: [string, number[]] = [`${key}grads_sq`, indices];
      await this.#compareMap(module, ours, "candidateGradsSq", squares, BOUNDS.candidateGradsSq);
    }
  }

  async #compareState(tag: string): Promise<void> {
    for (const module of this.trace.modules_in_optimizer_order) {
      const key = (field: string) => `${tag}.${module}.${field}`;
      const indices = numbersOf(this.snapshots, key("indices"));
      const ours = await this.engine.readState(module, "indices");
      this.#compareSets("indices", module, [...ours], indices);
      const compare = (field: StateField, name: string, bound: number) => {
        const file: [string, number[]] = [key(name), indices];
        return this.#compareMap(module, ours, field, file, bound, this.snapshots);
      };
      await compare("values", "values", BOUNDS.values);
      if (this.growth.optimizer === "adamw") {
        await compare("ages", "age", 0);
        await compare("expAvg", "exp_avg", BOUNDS.expAvg);
        await compare("expAvgSq", "exp_avg_sq", BOUNDS.expAvgSq);
      } else {
        await this.#compareAccumulator(module, "rowAccumulator", key("accumulator_0"));
        await this.#compareAccumulator(module, "columnAccumulator", key("accumulator_1"));
      }
    }
  }

  /** Compares a field as a map from position to value, over the positions that both have. */
  async #compareMap(
    module: string,
    positions: ArrayLike<number>,
    field: StateField,
    [name, expectedPositions]: [string, number[]],
    bound: number,
    file = this.reselections,
  ): Promise<void> {
    const ours = await this.engine.readState(module, field);
    const slots = new Map(Array.from(positions, (position, slot) => [position, slot]));
    numbersOf(file, name).forEach((expected, i) => {
      const slot = slots.get(expectedPositions[i]!);
      if (slot !== undefined) this.deviations.note(field, Math.abs(ours[slot]! - expected), bound);
    });
  }

  async #compareAccumulator(module: string, field: StateField, name: string): Promise<void> {
    const ours = await this.engine.readState(module, field);
    numbersOf(this.snapshots, name).forEach((expected, i) => {
      const excess = Math.abs(ours[i]! - expected) - ACCUMULATOR_RELATIVE * Math.abs(expected);
      this.deviations.note(field, Math.max(excess, 0), BOUNDS.accumulator);
    });
  }

  /** What the reference dropped and grew in a module, with the scores by which it chose. */
  #selections(tag: string, module: string): { dropped: Selection; grown: Selection } {
    const recorded = (what: string) => numbersOf(this.reselections, `${tag}.${module}.${what}`);
    const before = (what: string) =>
      numbersOf(this.snapshots, `${tag}.before_reselect.${module}.${what}`);
    const byPosition = (positions: number[], scores: number[]): Selection["scoreOf"] => {
      const scoreOf = new Map(positions.map((position, i) => [position, Math.abs(scores[i]!)]));
      return (position) => scoreOf.get(position);
    };
    const growthScore = (): Selection["scoreOf"] => {
      if (this.growth.needsWindow) {
        return byPosition(recorded("candidate_indices"), recorded("candidate_grads"));
      }
      const [rows, columns] = [before("accumulator_0"), before("accumulator_1")];
      return (position) =>
        rows[Math.floor(position / columns.length)]! * columns[position % columns.length]!;
    };
    return {
      dropped: {
        chosen: recorded("dropped"),
        keeps: "smallest",
        scoreOf: byPosition(before("indices"), before("values")),
      },
      grown: { chosen: recorded("grown"), keeps: "largest", scoreOf: growthScore() },
    };
  }

  #compareSelection(kind: string, module: string, ours: number[], selection: Selection): void {
    const { atCut, elsewhere } = compareSelections(ours, selection);
    const known = this.#atCut.get(module) ?? new Set();
    this.#atCut.set(module, new Set([...known, ...atCut]));
    this.mismatchedAtCut += atCut.length;
    this.mismatched += atCut.length + elsewhere.length;
    this.deviations.note(kind, elsewhere.length, 0);
  }

  #compareSets(kind: string, module: string, ours: number[], expected: number[]): void {
    const atCut = this.#atCut.get(module);
    const mismatched = [...difference(ours, expected), ...difference(expected, ours)]
      .filter((position) => !atCut?.has(position)).length;
    this.mismatched += mismatched;
    this.deviations.note(kind, mismatched, 0);
  }

  async #indices(): Promise<Map<string, number[]>> {
    const indices = new Map<string, number[]>();
    for (const module of this.trace.modules_in_optimizer_order) {
      indices.set(module, [...await this.engine.readState(module, "indices")]);
    }
    return indices;
  }
}

function pad(step: number): string {
  return String(step).padStart(2, "0");
}

if (import.meta.main) await main("check_trace", checkTrace);
