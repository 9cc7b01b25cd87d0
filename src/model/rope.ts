/** Rotary settings, from both spellings of config.json and from GGUF metadata, in one form. */
import type { Rope, RopeScaling } from "../engine/protocol.gen.ts";
import type { GgufFile } from "../io/gguf.ts";
import type { GgufField } from "../io/gguf_writer.ts";
import type { ConfigFields } from "./config_fields.ts";

const DEFAULT_THETA = 10_000;
const SUPPORTED = '"default", "linear", "llama3"';

/** Reads `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (transformers 4). */
export function ropeFromHuggingFace(config: ConfigFields, theta = DEFAULT_THETA): Rope {
  config.only("partial_rotary_factor", 1);
  const parameters = config.object("rope_parameters");
  const scaling = parameters ?? config.object("rope_scaling");
  parameters?.only("partial_rotary_factor", 1);
  return {
    rope_theta: parameters?.has("rope_theta")
      ? parameters.positive("rope_theta")
      : config.positive("rope_theta", theta),
    rope_scaling: scaling === null ? null : scalingFrom(scaling),
  };
}

/**
 * Reads the settings of one type of layers: its part of `rope_parameters` (transformers 5), or its base under a key of its
 * own and, for the layers that see all, `rope_scaling` (transformers 4).
 */
export function ropeOfLayersFromHuggingFace(
  config: ConfigFields,
  type: "full_attention" | "sliding_attention",
  thetaKey: string,
  defaultTheta: number,
): Rope {
  const parameters = config.object("rope_parameters")?.object(type) ?? null;
  const older = type === "full_attention" ? config.object("rope_scaling") : null;
  const scaling = parameters ?? older;
  return {
    rope_theta: parameters?.has("rope_theta")
      ? parameters.positive("rope_theta")
      : config.positive(thetaKey, defaultTheta),
    rope_scaling: scaling === null ? null : scalingFrom(scaling),
  };
}

function scalingFrom(fields: ConfigFields): RopeScaling | null {
  const key = fields.has("rope_type") ? "rope_type" : "type";
  switch (fields.string(key, "default")) {
    case "default":
      return null;
    case "linear":
      return linear(fields.positive("factor"));
    case "llama3":
      return {
        rope_type: "llama3",
        factor: fields.positive("factor"),
        low_freq_factor: fields.positive("low_freq_factor"),
        high_freq_factor: fields.positive("high_freq_factor"),
        original_max_position_embeddings: fields.size("original_max_position_embeddings"),
      };
    default:
      throw fields.unsupported(key, SUPPORTED);
  }
}

function linear(factor: number): RopeScaling | null {
  return factor === 1 ? null : { rope_type: "linear", factor };
}

/** GGUF stores the llama3 scaling as this tensor of divisors, one per frequency. */
export const ROPE_FACTORS_TENSOR = "rope_freqs.weight";

/** Reads the rotary fields of a GGUF file whose keys start with `prefix`. */
export function ropeFromGguf(fields: ConfigFields, file: GgufFile, headDim: number): Rope {
  const rope_theta = fields.positive("rope.freq_base", DEFAULT_THETA);
  if (fields.has("rope.dimension_count") && fields.size("rope.dimension_count") !== headDim) {
    throw fields.mismatch("rope.dimension_count", `${headDim}, the width of a head`);
  }
  if (file.tensors.has(ROPE_FACTORS_TENSOR)) {
    return { rope_theta, rope_scaling: llama3FromFactors(fields, file, headDim, rope_theta) };
  }
  switch (fields.string("rope.scaling.type", "none")) {
    case "none":
      return { rope_theta, rope_scaling: linear(fields.positive("rope.scale_linear", 1)) };
    case "linear":
      return { rope_theta, rope_scaling: linear(fields.positive("rope.scaling.factor")) };
    default:
      throw fields.unsupported("rope.scaling.type", '"none", "linear"');
  }
}

/**
 * What llama3 scalings have beside their factor where the metadata does not say, as in all that are published. The
 * divisors computed with them are compared with the stored ones, so another scaling is refused.
 */
const LLAMA3 = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
const LLAMA3_KEYS = {
  low_freq_factor: "rope.scaling.low_freq_factor",
  high_freq_factor: "rope.scaling.high_freq_factor",
  original_max_position_embeddings: "rope.scaling.original_context_length",
} as const;

function llama3FromFactors(
  fields: ConfigFields,
  file: GgufFile,
  headDim: number,
  theta: number,
): RopeScaling {
  const count = headDim / 2;
  const tensor = file.tensors.get(ROPE_FACTORS_TENSOR);
  if (tensor?.type.name !== "F32" || tensor.byteLength !== 4 * count) {
    throw fields.fail(`tensor "${ROPE_FACTORS_TENSOR}" is not ${count} F32 values`);
  }
  const stored = new Float32Array(file.readRange(ROPE_FACTORS_TENSOR, 0, 4 * count).buffer);
  const given = (key: keyof typeof LLAMA3) => fields.positive(LLAMA3_KEYS[key], LLAMA3[key]);
  const scaling: Llama3Scaling = {
    rope_type: "llama3",
    factor: Math.max(...stored),
    low_freq_factor: given("low_freq_factor"),
    high_freq_factor: given("high_freq_factor"),
    original_max_position_embeddings: given("original_max_position_embeddings"),
  };
  const divisors = llama3Divisors(scaling, headDim, theta);
  for (let i = 0; i < count; i++) {
    const expected = divisors[i]!;
    if (!(Math.abs(stored[i]! - expected) <= 1e-4 * expected)) {
      throw fields.fail(
        `tensor "${ROPE_FACTORS_TENSOR}" holds ${stored[i]} at ${i}; ` +
          `expected ${expected}, the llama3 scaling by ${scaling.factor}`,
      );
    }
  }
  return scaling;
}

type Llama3Scaling = Extract<RopeScaling, { rope_type: "llama3" }>;

/** What the llama3 scaling divides each frequency by, [head_dim / 2]. */
function llama3Divisors(scaling: Llama3Scaling, headDim: number, theta: number): number[] {
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
  return Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** (2 * i / headDim);
    const turns = scaling.original_max_position_embeddings / wavelength;
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return 1 / ((1 - kept) / factor + kept);
  });
}

/** The rotary keys of a GGUF file, without the architecture's name. */
export function ropeToGguf({ rope_theta, rope_scaling }: Rope): Record<string, GgufField> {
  const f32 = (value: number): GgufField => ({ type: "f32", value });
  const base = { "rope.freq_base": f32(rope_theta) };
  switch (rope_scaling?.rope_type) {
    case undefined:
      return base;
    case "linear":
      return {
        ...base,
        "rope.scaling.type": { type: "string", value: "linear" },
        "rope.scaling.factor": f32(rope_scaling.factor),
      };
    case "llama3":
      // Not its factor: programs would scale by that once more.
      return {
        ...base,
        [LLAMA3_KEYS.low_freq_factor]: f32(rope_scaling.low_freq_factor),
        [LLAMA3_KEYS.high_freq_factor]: f32(rope_scaling.high_freq_factor),
        [LLAMA3_KEYS.original_max_position_embeddings]: {
          type: "u32",
          value: rope_scaling.original_max_position_embeddings,
        },
      };
  }
}

/** The content of `ROPE_FACTORS_TENSOR`, [head_dim / 2]; null where a file has none. */
export function ropeFactorsOf(
  { rope_theta, rope_scaling }: Rope,
  headDim: number,
): Float32Array<ArrayBuffer> | null {
  if (rope_scaling?.rope_type !== "llama3") return null;
  return Float32Array.from(llama3Divisors(rope_scaling, headDim, rope_theta));
}
