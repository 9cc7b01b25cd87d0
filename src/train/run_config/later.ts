/** Keys and values that people may expect and that this version refuses by name. */

/** Keys that do not exist yet, each with the reason. */
export const LATER_KEYS: Readonly<Record<string, string>> = {
  quantize: "this version keeps weights as the model's files store them",
};

/** Values that do not exist yet, by key, each with the reason. */
export const LATER_VALUES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  method: {
    lora: "LoRA is not supported yet",
    ia3: "IA3 is not supported yet",
  },
};
