/** The table of commands: one line each, loaded when called. */

/** A command as the table knows it. */
export interface CommandEntry {
  name: string;
  summary: string;
  /** Loads the function that runs the command with its arguments. */
  load(): Promise<(args: readonly string[]) => Promise<void>>;
}

/** All commands, in the order of `--help`. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "train",
    summary: "train a model on examples",
    load: async () => (await import("./train.ts")).runTrain,
  },
  {
    name: "evaluate",
    summary: "measure loss, perplexity and exact match on examples",
    load: async () => (await import("./evaluate.ts")).runEvaluate,
  },
  {
    name: "generate",
    summary: "answer a prompt",
    load: async () => (await import("./generate.ts")).runGenerate,
  },
  {
    name: "merge",
    summary: "add an adapter to its model and save the sum",
    load: async () => (await import("./merge.ts")).runMerge,
  },
  {
    name: "adapter",
    summary: "convert, add, subtract and scale adapters",
    load: async () => (await import("./adapter.ts")).runAdapter,
  },
  {
    name: "download",
    summary: "download models and data sets of the hub",
    load: async () => (await import("./download.ts")).runDownload,
  },
  {
    name: "inspect",
    summary: "describe a model, adapter, checkpoint, run folder or data file",
    load: async () => (await import("./inspect.ts")).runInspect,
  },
  {
    name: "validate",
    summary: "look at every record of data files, and write corrected copies",
    load: async () => (await import("./validate.ts")).runValidate,
  },
  {
    name: "doctor",
    summary: "check what this machine can do and what is missing",
    load: async () => (await import("./doctor.ts")).runDoctor,
  },
];
