/** Models whose layers do not all attend alike. */
import type { LayerAttention, ModelConfig } from "../../engine/protocol.gen.ts";
import { SpielError } from "../../errors.ts";
import type { ConfigFields } from "../config_fields.ts";

/** A decoder whose layers attend so: told once where all do the same. */
export function withLayers(decoder: ModelConfig, layers: readonly LayerAttention[]): ModelConfig {
  const [first] = layers;
  const isSame = layers.every((layer) => JSON.stringify(layer) === JSON.stringify(first));
  return isSame && first !== undefined && first.rope !== null
    ? { ...decoder, ...first.rope, sliding_window: first.sliding_window }
    : { ...decoder, sliding_window: null, layers: [...layers] };
}

/** The window of each layer. */
export function windowsOf(config: ModelConfig): (number | null)[] {
  const { layers, num_hidden_layers, sliding_window } = config;
  return layers?.map((layer) => layer.sliding_window) ??
    Array.from({ length: num_hidden_layers }, () => sliding_window);
}

/** The windows as the keys of config.json. */
export function windowKeys(config: ModelConfig): Record<string, unknown> {
  const windows = windowsOf(config);
  const size = windows.find((window) => window !== null) ?? null;
  return {
    use_sliding_window: size !== null,
    sliding_window: size,
    layer_types: windows.map((window) => window === null ? "full_attention" : "sliding_attention"),
  };
}

/** `layer_types`, one for each layer, when given. */
export function layerTypes(config: ConfigFields, layers: number): unknown[] | undefined {
  const types = config.value("layer_types");
  if (types === undefined || Array.isArray(types) && types.length === layers) return types;
  throw config.mismatch("layer_types", `a list of ${layers} layer types`);
}

/** A Qwen model with its sliding windows, which only `use_sliding_window` switches on. */
export function withQwenWindows(config: ConfigFields, decoder: ModelConfig): ModelConfig {
  if (!config.boolean("use_sliding_window", false)) return decoder;
  const isWindowed = qwenWindows(config, decoder.num_hidden_layers);
  if (!isWindowed.includes(true)) return decoder;
  const size = config.size("sliding_window");
  const { rope_theta, rope_scaling } = decoder;
  const layers = isWindowed.map((windowed) => ({
    rope: { rope_theta, rope_scaling },
    sliding_window: windowed ? size : null,
  }));
  return withLayers(decoder, layers);
}

function qwenWindows(config: ConfigFields, layers: number): boolean[] {
  const types = layerTypes(config, layers);
  if (types !== undefined) return types.map((type) => type === "sliding_attention");
  const firstWindowed = config.value("max_window_layers");
  if (typeof firstWindowed !== "number") throw config.mismatch("max_window_layers", "a number");
  return Array.from({ length: layers }, (_, layer) => layer >= firstWindowed);
}

/**
 * The GGUF metadata of layers that attend alike: none beside that of every decoder.
 *
 * @throws {SpielError} kind "data" when they do not, which the file could not say.
 */
export function alikeInGguf({ layers }: ModelConfig): Record<string, never> {
  if (layers === undefined) return {};
  throw new SpielError(
    "data",
    "A GGUF file cannot hold this model: only some of its layers have a sliding window",
  );
}
