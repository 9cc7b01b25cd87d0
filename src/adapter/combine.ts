/** Makes sparse adapters from others: sums with factors, in any layout that holds sparse deltas. */

import { SpielError } from "../errors.ts";
import { denoFiles, type Files } from "../io/files.ts";
import { modelIdentity, type ModelSource, openModelSource } from "../model/source.ts";
import { VERSION } from "../version.ts";
import type { Adapter, AdapterConfig, Shape, ShapeOf } from "./adapter.ts";
import { sumDeltas } from "./arithmetic.ts";
import { baseModelOf, linearShapes } from "./base_model.ts";
import type { SparseDeltas } from "./deltas.ts";
import { LAYOUTS } from "./layouts/mod.ts";
import { loadSparseAdapter } from "./load.ts";
import { type Provenance, PROVENANCE_VERSION } from "./provenance.ts";
import { refuseTaken } from "./refuse_taken.ts";
import { saveAdapter } from "./save.ts";

/** One adapter of a sum. */
export interface AdapterTerm {
  /** An adapter folder of a layout with sparse deltas. */
  readonly adapter: string;
  /** What its deltas are multiplied by; 1 when absent. */
  readonly factor?: number | undefined;
}

/** What to make. */
export interface CombineOptions {
  /** One adapter to scale or convert it, several to add them up. */
  readonly terms: readonly AdapterTerm[];
  /** `peft_type` of the result in any case; `SFT` when absent. */
  readonly layout?: string | undefined;
  /** The folder to make; it must not hold anything yet. */
  readonly out: string;
  /** The base model, for what adapters do not record of it. */
  readonly model?: string | undefined;
  /** Adds adapters of different base models all the same; refused when absent. */
  readonly allowOtherBase?: boolean | undefined;
  /** Told in one sentence of what is odd but no error, and awaited. */
  readonly onWarning?: ((message: string) => void | Promise<void>) | undefined;
  /** The disk, unless a test says otherwise. */
  readonly files?: Files;
}

/** What was made. */
export interface CombineResult {
  /** The folder that was made. */
  readonly out: string;
  /** Its `peft_type`. */
  readonly layout: string;
  /** Deltas other than 0. */
  readonly deltas: number;
  /** Positions that more than one adapter has a delta for; their values were added. */
  readonly overlaps: number;
  /** Deltas of value 0 beside them, which the layout asks for. */
  readonly padding: number;
}

/**
 * Adds up adapters, each times its factor, and saves the sum. With one adapter this scales or converts it. Positions
 * whose deltas are or become 0 are left out, which changes nothing of what the adapter does.
 *
 * @throws {SpielError} `usage` when `out` is taken or the layout is unknown, `data` for adapters of different base
 * models, for deltas that the layout cannot hold, and for bad files.
 */
export async function combineAdapters(options: CombineOptions): Promise<CombineResult> {
  const { terms, out, model, files = denoFiles, onWarning } = options;
  const layout = writableLayout(options.layout ?? "SFT");
  await refuseTaken(files, out, "adapter");
  using source = model === undefined ? null : openModelSource(model);
  const base = source === null ? undefined : baseModelOf(source);
  const loaded = terms.map(({ adapter: path, factor = 1 }) => {
    const purpose = "can be converted, added and scaled";
    return { path, factor, adapter: loadSparseAdapter(path, purpose, base) };
  });
  const otherBases = differentBases(loaded);
  if (otherBases !== null && options.allowOtherBase !== true) {
    throw new SpielError("data", `${otherBases}; --allow-other-base adds them all the same`);
  }
  const recorded = loaded.find(({ adapter }) => adapter.config.spiel)?.adapter.config.spiel;
  const shapeOf = (module: string) => base?.shapeOf(module) ?? recorded?.base_shapes?.[module];
  for (const { path, adapter } of loaded) refuseOutside(path, adapter, shapeOf, source);
  const hash = source === null ? undefined : await modelIdentity(source);
  if (otherBases !== null) await onWarning?.(otherBases);
  else for (const warning of warningsOf(loaded, source, hash)) await onWarning?.(warning);

  const { modules, overlaps } = sumModules(loaded);
  const configs = loaded.map(({ adapter }) => adapter.config);
  const shapes = recorded?.base_shapes ?? (source === null ? {} : linearShapes(source));
  const known = [
    ...Object.keys(shapes),
    ...loaded.flatMap(({ adapter }) => [...adapter.modules.keys()]),
  ];
  const config = {
    base_model_name_or_path: configs.find(({ base_model_name_or_path: name }) => name)
      ?.base_model_name_or_path ?? model ?? null,
    target_modules: targetsOf(configs, [...modules.keys()], known),
    spiel: provenanceOf(configs, source, hash),
  };
  const encoded = layout.encode({ config, modules }, (module) => {
    const shape = shapeOf(module);
    if (shape !== undefined) return shape;
    throw new SpielError(
      "data",
      `Adapter "${terms[0]?.adapter}" does not record the shape of "${module}", which ` +
        `${layout.peftType} depends on; name its base model by --model`,
    );
  });
  await saveAdapter(files, out, encoded);
  const deltas = [...modules.values()].reduce((sum, { values }) => sum + values.length, 0);
  return { out, layout: layout.peftType, deltas, overlaps, padding: encoded.padding };
}

/** The names of the layouts that are written. */
export function writableLayouts(): string[] {
  return LAYOUTS.flatMap(({ peftType, encode }) => encode === undefined ? [] : [peftType]);
}

function writableLayout(name: string) {
  const { peftType, encode } = LAYOUTS.find((one) => one.peftType === name.toUpperCase()) ?? {};
  if (peftType !== undefined && encode !== undefined) return { peftType, encode };
  const known = writableLayouts().map((one) => one.toLowerCase()).join(", ");
  throw new SpielError("usage", `the layout is "${name}"; expected one of ${known}`);
}

interface LoadedTerm {
  readonly path: string;
  readonly factor: number;
  readonly adapter: Adapter;
}

/** What tells base models apart: their content, or else what they are called. */
const BASE_FIELDS: readonly {
  name: string;
  of: (config: AdapterConfig) => string | null | undefined;
}[] = [
  { name: "base_model_hash", of: ({ spiel }) => spiel?.base_model_hash },
  { name: "base_model_name_or_path", of: ({ base_model_name_or_path: name }) => name },
];

/** The sentence for adapters that were trained on different models, as far as they tell; null where nothing speaks for that. */
function differentBases(loaded: readonly LoadedTerm[]): string | null {
  for (const { name, of } of BASE_FIELDS) {
    const recording = loaded.filter(({ adapter }) => of(adapter.config));
    const [first] = recording;
    const other = recording.find(({ adapter }) => of(adapter.config) !== of(first!.adapter.config));
    if (first !== undefined && other !== undefined) {
      return `Adapters "${first.path}" and "${other.path}" were trained on different base models ` +
        `(${name} ${of(first.adapter.config)} and ${of(other.adapter.config)}), ` +
        "so their sum fits neither";
    }
    // Where all tell what the model is made of, its name says nothing more.
    if (recording.length === loaded.length) return null;
  }
  return null;
}

/** Refuses an adapter with positions outside the base model, as far as that is known. */
function refuseOutside(
  path: string,
  { modules, config }: Adapter,
  shapeOf: ShapeOf,
  source: ModelSource | null,
): void {
  for (const [module, { indices }] of modules) {
    const [shape, recorded] = [shapeOf(module), config.spiel?.base_shapes?.[module]];
    if (shape === undefined && source === null) continue;
    const last = indices.at(-1) ?? 0;
    const isOther = recorded !== undefined && recorded.join() !== shape?.join();
    if (shape !== undefined && !isOther && last < shape[0] * shape[1]) continue;
    const [found, made] = [shape, recorded].map(describeShape);
    throw new SpielError(
      "data",
      `Adapter "${path}" does not fit its base model: it has ` +
        (isOther ? `"${module}" of shape ${made}` : `a delta at position ${last} of "${module}"`) +
        `, and the model ${shape === undefined ? "has no such matrix" : `has shape ${found}`}`,
    );
  }
}

function describeShape(shape: Shape | undefined): string {
  return `[${shape?.join(", ") ?? ""}]`;
}

function warningsOf(
  loaded: readonly LoadedTerm[],
  source: ModelSource | null,
  hash: string | undefined,
): string[] {
  return loaded.flatMap(({ path, adapter: { config: { spiel } } }) => {
    if (spiel === undefined) {
      return loaded.length === 1 ? [] : [
        `Adapter "${path}" does not record its base model; it may be of another than the others`,
      ];
    }
    return hash === undefined || spiel.base_model_hash === hash ? [] : [
      `Adapter "${path}" was trained on another base model than "${source?.path}" ` +
      "(its base_model_hash differs); what it records is kept",
    ];
  });
}

function sumModules(loaded: readonly LoadedTerm[]) {
  const names = new Set(loaded.flatMap(({ adapter }) => [...adapter.modules.keys()]));
  const modules = new Map<string, SparseDeltas>();
  let overlaps = 0;
  for (const name of [...names].sort()) {
    const terms = loaded.flatMap(({ adapter, factor }) => {
      const deltas = adapter.modules.get(name);
      return deltas === undefined ? [] : [{ deltas, factor }];
    });
    const sum = sumDeltas(terms);
    refuseOverflow(sum.deltas, name, loaded);
    overlaps += sum.overlaps;
    if (sum.deltas.values.length > 0) modules.set(name, sum.deltas);
  }
  if (modules.size > 0) return { modules, overlaps };
  throw new SpielError("data", "Every delta of the result is 0, so there is nothing to save");
}

/** Refuses a sum with a value that f32 does not hold. */
function refuseOverflow(
  { values }: SparseDeltas,
  module: string,
  loaded: readonly LoadedTerm[],
): void {
  if (values.every(Number.isFinite)) return;
  const largest = loaded.reduce((most, term) =>
    Math.abs(term.factor) > Math.abs(most.factor) ? term : most
  );
  throw new SpielError(
    "usage",
    `${largest.factor} times the deltas of "${module}" of "${largest.path}" is more than f32 holds; ` +
      "expected a smaller factor",
  );
}

/**
 * Names or ends of names that select the modules and no others, which programs would give deltas of their own.
 *
 * @param known The base model's modules, as far as any adapter or the model tells of them.
 */
function targetsOf(
  configs: readonly AdapterConfig[],
  modules: readonly string[],
  known: readonly string[],
): string[] {
  const targets = configs.map(({ target_modules }) => target_modules);
  // A regular expression of one adapter says nothing of the other's modules.
  if (targets.some((one) => typeof one === "string")) return [...modules];
  const ends = targets.flatMap((one) =>
    one ?? modules.map((name) => name.slice(name.lastIndexOf(".") + 1))
  );
  const isOf = (name: string, end: string) => name === end || name.endsWith(`.${end}`);
  const whole = [...new Set(ends)].filter((end) => {
    const selected = known.filter((name) => isOf(name, end));
    return selected.length > 0 && selected.every((name) => modules.includes(name));
  });
  const others = modules.filter((name) => !whole.some((end) => isOf(name, end)));
  return [...whole, ...others].sort();
}

/** How the base was held in training, where all adapters say the same of it. */
function quantizeOf(configs: readonly AdapterConfig[]): Pick<Provenance, "quantize"> {
  const [first, ...others] = configs.map(({ spiel }) => spiel?.quantize);
  return first !== undefined && others.every((one) => one === first) ? { quantize: first } : {};
}

/** What is recorded of the result: the base as far as any adapter or the model tells it, the training of a single one. */
function provenanceOf(
  configs: readonly AdapterConfig[],
  source: ModelSource | null,
  hash: string | undefined,
): AdapterConfig["spiel"] {
  const recorded = configs.find(({ spiel }) => spiel)?.spiel;
  if (configs.length === 1 && recorded !== undefined) return recorded;
  const base_model_hash = recorded?.base_model_hash ?? hash;
  if (base_model_hash === undefined) return undefined;
  const base_shapes = recorded === undefined && source !== null
    ? linearShapes(source)
    : recorded?.base_shapes;
  return {
    format_version: PROVENANCE_VERSION,
    program_version: VERSION,
    base_model_hash,
    ...quantizeOf(configs),
    ...(base_shapes && { base_shapes }),
  };
}
