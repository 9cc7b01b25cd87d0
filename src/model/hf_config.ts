/** Reads a Hugging Face config.json, in the spelling of transformers 4 or 5. */
import type { ModelConfig } from "../engine/protocol.gen.ts";
import { readJsonObject } from "../io/random_access.ts";
import { type Architecture, architectureOf } from "./architectures/mod.ts";
import { ConfigFields } from "./config_fields.ts";

/** A model's configuration, as the engine wants it and as it was. */
export interface HuggingFaceConfig {
  architecture: Architecture;
  config: ModelConfig;
  /** The file's content. */
  json: Record<string, unknown>;
}

/**
 * Reads a configuration file.
 *
 * @param path The file, usually a folder's config.json.
 * @throws {SpielError} kind "data" naming the field, its value and what was expected.
 */
export function readHuggingFaceConfig(path: string): HuggingFaceConfig {
  const json = readJsonObject(path);
  const fields = ConfigFields.ofObject(path, json);
  const architecture = architectureOf(json.model_type, path);
  refuseQuantised(fields);
  return { architecture, config: architecture.fromHuggingFace(fields), json };
}

/**
 * What the weights are packed as, the tensors tell; here the methods are refused whose tensors are not read. "gguf" only
 * notes where the weights came from.
 */
function refuseQuantised(fields: ConfigFields): void {
  const quantisation = fields.object("quantization_config");
  if (quantisation === null) return;
  const method = quantisation.value("quant_method");
  if (method === "bitsandbytes") {
    quantisation.only("load_in_8bit", false);
    quantisation.only("bnb_4bit_quant_type", "nf4");
  } else if (method !== "gguf") {
    throw quantisation.unsupported(
      "quant_method",
      '"bitsandbytes" in 4 bits, unquantised safetensors, or a .gguf file',
    );
  }
}
