/** Values that people may expect and that this version refuses by name. */

/** Values that do not exist yet, by key, each with the reason. */
export const LATER_VALUES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  method: {
    lora: "LoRA is not supported yet",
    ia3: "IA3 is not supported yet",
  },
};
