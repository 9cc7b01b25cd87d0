/** A dry run for programs: what a run would take, as one JSON object. */

import { type DataCounts, type ResolvedConfig, shownName, type TrainEvent } from "../mod.ts";

/** The event of one type. */
type EventOf<Type extends TrainEvent["type"]> = Extract<TrainEvent, { type: Type }>;

/** Gathers the plan from the events that come before training. */
export class PlanRecord {
  readonly #resolved: ResolvedConfig;
  #opened: EventOf<"opened"> | undefined;
  #planned: EventOf<"planned"> | undefined;
  #data: EventOf<"data"> | undefined;
  #example: EventOf<"example"> | undefined;
  #estimated: EventOf<"estimated"> | undefined;

  constructor(resolved: ResolvedConfig) {
    this.#resolved = resolved;
  }

  /** Looks at one event. */
  note(event: TrainEvent): void {
    if (event.type === "opened") this.#opened = event;
    if (event.type === "planned") this.#planned = event;
    if (event.type === "data") this.#data = event;
    if (event.type === "example") this.#example = event;
    if (event.type === "estimated") this.#estimated = event;
  }

  /** The object of docs/file_formats.md; `undefined` before the data was read. */
  get json(): Record<string, unknown> | undefined {
    const [opened, planned, data] = [this.#opened, this.#planned, this.#data];
    if (opened === undefined || planned === undefined || data === undefined) return undefined;
    const { model, method, out, gradientAccumulationSteps } = this.#resolved.config;
    const { version, host, device, adapter, threads } = opened.info;
    const { rows, totalBytes } = planned.memory;
    return {
      event: "plan",
      version,
      model: shownName(model),
      method,
      out,
      host,
      device,
      adapter,
      threads,
      precision: planned.precision,
      parameters: planned.parameters,
      trainable: planned.trainable,
      memory: rows.map(({ purpose, bytes }) => ({ purpose, bytes })),
      memory_bytes: totalBytes,
      train: countsOf(data),
      held_out: data.eval === undefined ? null : countsOf(data.eval),
      filled: data.filled,
      gradient_accumulation_steps: gradientAccumulationSteps,
      step: this.#estimated?.step ?? 0,
      steps: data.totalSteps,
      estimated_s: this.#estimated?.time?.seconds ?? null,
      mixture: data.mixture ?? null,
      sample: this.#example === undefined
        ? null
        : { where: this.#example.where, text: this.#example.text },
    };
  }
}

function countsOf({ examples, tokens, targetTokens, truncated }: DataCounts) {
  return { examples, tokens, target_tokens: targetTokens, truncated };
}
