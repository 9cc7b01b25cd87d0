/** Words and JSON Schema of the keys, derived from the schema. */

import { z } from "npm:zod@4.6.7";
import { type ConfigGroup, keyWords } from "./key_words.ts";
import { flagName } from "./naming.ts";
import { CONFIG_KEYS, type ConfigKey, runConfigSchema } from "./schema.ts";

/** How the text of a flag becomes a value. */
export type ValueKind = "text" | "number" | "boolean" | "list" | "map" | "bytes";

/** All that `--help` and the reference say of one key. */
export interface ConfigKeyHelp {
  /** The key in config files. */
  key: ConfigKey;
  /** The flag, such as `--max-steps`. */
  flag: string;
  /** The heading it belongs under. */
  group: ConfigGroup;
  /** What it does. */
  description: string;
  /** What its values are made of. */
  kind: ValueKind;
  /** What stands for the value in `--help`; empty for flags without one. */
  placeholder: string;
  /** What a valid value is. */
  expected: string;
  /** The default in words; undefined where a value must be given. */
  defaultText: string | undefined;
  /** The values of an enumeration. */
  choices: readonly string[];
  /** Whether the flag is given once per item. */
  repeatable: boolean;
  /** Whether a resumed run may change it. */
  changeable: boolean;
}

interface JsonSchemaOfKey {
  type?: string;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  default?: unknown;
}

function jsonSchema() {
  return z.toJSONSchema(runConfigSchema, { io: "input", metadata: keyWords });
}

/** The JSON Schema of config files, for editors. Lists and maps may also be written as text, as for flags. */
export function runConfigJsonSchema(): Record<string, unknown> {
  const schema = jsonSchema();
  const properties = Object.entries(schema.properties ?? {}).map(([key, property]) => {
    const { type } = property as JsonSchemaOfKey;
    const isWhole = type === "array" || type === "object";
    return [key, isWhole ? { ...property as JsonSchemaOfKey, type: [type, "string"] } : property];
  });
  return {
    title: "spiel run configuration",
    ...schema,
    properties: Object.fromEntries(properties),
  };
}

function kindOf(schema: JsonSchemaOfKey): ValueKind {
  switch (schema.type) {
    case "number":
    case "integer":
      return "number";
    case "boolean":
      return "boolean";
    case "array":
      return "list";
    case "object":
      return "map";
    case "string":
      return "text";
    default:
      return "bytes";
  }
}

function expectedOf(schema: JsonSchemaOfKey): string {
  if (schema.enum !== undefined) return `one of ${schema.enum.join(", ")}`;
  if (schema.type === "boolean") return "true or false";
  if (schema.type !== "number" && schema.type !== "integer") return "text that is not empty";
  const bounds: string[] = [];
  if (schema.minimum !== undefined && schema.maximum !== undefined) {
    bounds.push(`from ${schema.minimum} to ${schema.maximum}`);
  } else {
    if (schema.minimum !== undefined) bounds.push(`of at least ${schema.minimum}`);
    if (schema.exclusiveMinimum !== undefined) bounds.push(`above ${schema.exclusiveMinimum}`);
    if (schema.maximum !== undefined) bounds.push(`at most ${schema.maximum}`);
    if (schema.exclusiveMaximum !== undefined) bounds.push(`below ${schema.exclusiveMaximum}`);
  }
  const noun = schema.type === "integer" ? "a whole number" : "a number";
  return [noun, bounds.join(" and ")].filter((part) => part !== "").join(" ");
}

function placeholderOf(schema: JsonSchemaOfKey, kind: ValueKind, unit: string | undefined): string {
  if (kind === "boolean") return "";
  if (unit !== undefined) return unit.toUpperCase();
  if (schema.enum !== undefined) return "NAME";
  return kind === "number" ? "N" : "TEXT";
}

function defaultOf(schema: JsonSchemaOfKey): string | undefined {
  const value = schema.default;
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value.join(",") : String(value);
}

function helpOf(key: ConfigKey, schema: JsonSchemaOfKey): ConfigKeyHelp {
  const words = keyWords.get(runConfigSchema.shape[key]);
  if (words === undefined) throw new Error(`No words for key ${key}`);
  const kind = kindOf(schema);
  return {
    key,
    flag: flagName(key),
    group: words.group,
    description: words.description,
    kind,
    placeholder: words.placeholder ?? placeholderOf(schema, kind, words.unit),
    expected: words.expected ?? expectedOf(schema),
    defaultText: words.defaultText ?? defaultOf(schema),
    choices: schema.enum ?? [],
    repeatable: words.repeatable ?? false,
    changeable: words.changeable ?? false,
  };
}

let described: ReadonlyMap<ConfigKey, ConfigKeyHelp> | undefined;

/** Every key's words, in the order of `--help`. */
export function configKeyHelp(): ReadonlyMap<ConfigKey, ConfigKeyHelp> {
  if (described === undefined) {
    const { properties } = jsonSchema() as { properties: Record<ConfigKey, JsonSchemaOfKey> };
    described = new Map(CONFIG_KEYS.map((key) => [key, helpOf(key, properties[key])]));
  }
  return described;
}
