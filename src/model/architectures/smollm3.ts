/** SmolLM3: LLaMA without rotation in some of its layers. */
import type { ModelConfig } from "../../engine/protocol.gen.ts";
import { SpielError } from "../../errors.ts";
import type { ConfigFields } from "../config_fields.ts";
import { type Architecture, decoderFromGguf, decoderFromHuggingFace } from "./decoder.ts";
import { layerTypes, windowKeys, windowsOf, withLayers } from "./layers.ts";

/** Of so many layers the last is not rotated, where nothing else is said; GGUF files cannot say anything else. */
const INTERVAL = 4;

/** Whether each layer is rotated, when one in `interval` is not. */
function everyNth(layers: number, interval: number): boolean[] {
  return Array.from({ length: layers }, (_, layer) => (layer + 1) % interval !== 0);
}

function rotatedLayers(config: ConfigFields, layers: number): boolean[] {
  const given = config.value("no_rope_layers");
  if (given === undefined) {
    return everyNth(layers, config.size("no_rope_layer_interval", INTERVAL));
  }
  // Despite its name, 1 is a layer with rotation.
  const isList = Array.isArray(given) && given.length >= layers &&
    given.every((entry) => entry === 0 || entry === 1);
  if (!isList) {
    throw config.mismatch("no_rope_layers", `a list of a 0 or 1 for each of ${layers} layers`);
  }
  return given.slice(0, layers).map((entry) => entry === 1);
}

/** The decoder with rotation and a window in these layers only. */
function withRotation(
  decoder: ModelConfig,
  isRotated: readonly boolean[],
  window: (layer: number) => number | null,
): ModelConfig {
  const { rope_theta, rope_scaling } = decoder;
  const layers = isRotated.map((rotated, layer) => ({
    rope: rotated ? { rope_theta, rope_scaling } : null,
    sliding_window: window(layer),
  }));
  return withLayers(decoder, layers);
}

function rotationOf({ layers, num_hidden_layers }: ModelConfig): boolean[] {
  return Array.from({ length: num_hidden_layers }, (_, layer) => layers?.[layer]?.rope !== null);
}

export const smollm3: Architecture = {
  modelType: "smollm3",
  className: "SmolLM3ForCausalLM",
  fromHuggingFace(config) {
    // True here also adds a bias to o_proj, which the engine does not have.
    config.only("attention_bias", false);
    // The default of transformers is 4, that of every other family all heads: too likely a mistake.
    config.size("num_key_value_heads");
    const decoder = decoderFromHuggingFace(config, {
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6,
      rope_theta: 2_000_000,
      tie_word_embeddings: true,
    });
    const isRotated = rotatedLayers(config, decoder.num_hidden_layers);
    const isUsed = config.boolean("use_sliding_window", false) && config.has("sliding_window");
    const size = isUsed ? config.size("sliding_window") : null;
    const types = layerTypes(config, decoder.num_hidden_layers);
    return withRotation(decoder, isRotated, (layer) => {
      const isWindowed = types === undefined
        ? !isRotated[layer]
        : types[layer] === "sliding_attention";
      return isWindowed ? size : null;
    });
  },
  toHuggingFace: (config) => ({
    no_rope_layers: rotationOf(config).map(Number),
    ...windowKeys(config),
    // The default of transformers is a token that only its own tokenizer has.
    pad_token_id: null,
  }),
  gguf: {
    name: "smollm3",
    interleavesHeads: true,
    read(file) {
      const decoder = decoderFromGguf(file, "smollm3");
      const window = decoder.sliding_window;
      return withRotation(decoder, everyNth(decoder.num_hidden_layers, INTERVAL), () => window);
    },
    metadata(config) {
      const expected = everyNth(config.num_hidden_layers, INTERVAL);
      const rotation = rotationOf(config);
      if (
        expected.every((rotated, layer) => rotated === rotation[layer]) &&
        windowsOf(config).every((window) => window === null)
      ) return {};
      throw new SpielError(
        "data",
        `A GGUF file cannot hold this smollm3 model: its layers without rotation or with a window differ from ` +
          `every ${INTERVAL}th without rotation and none with a window`,
      );
    },
  },
};
