/** The program's version, as checkpoints and adapters record it. Equal to that of deno.json. */

/** The program's version. */
export const VERSION = "0.1.0";
