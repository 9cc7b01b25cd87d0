/** Every family of bad files. */

import { IA3, LORA, PICKLE, SFT, SHIRA, SUPERTUNING } from "./adapter_kinds.ts";
import { BITSANDBYTES } from "./bitsandbytes_kinds.ts";
import {
  CSV,
  GZIP,
  JSON_LINES,
  JSON_LIST,
  NO_FILE,
  PARQUET,
  RECORDS,
  TEMPLATE,
} from "./data_kinds.ts";
import { CONFIG } from "./config_kinds.ts";
import { GGUF, GGUF_TOKENIZER, SPLIT_GGUF } from "./gguf_kinds.ts";
import type { Family } from "./kinds.ts";
import { SAFETENSORS, SHARDS } from "./safetensors_kinds.ts";
import { SENTENCEPIECE, TOKENIZER } from "./tokenizer_kinds.ts";

/** In the order of the test. */
export const FAMILIES: readonly Family[] = [
  ...[SAFETENSORS, SHARDS, BITSANDBYTES, CONFIG],
  ...[GGUF, SPLIT_GGUF, GGUF_TOKENIZER],
  ...[TOKENIZER, SENTENCEPIECE],
  ...[JSON_LINES, RECORDS, JSON_LIST, CSV, PARQUET, GZIP, TEMPLATE, NO_FILE],
  ...[SFT, SUPERTUNING, SHIRA, LORA, IA3, PICKLE],
];
