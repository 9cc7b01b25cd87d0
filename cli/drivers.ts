/** What drivers of GPUs look for in the process's environment. */

const FOLDER = "XDG_RUNTIME_DIR";

/**
 * Keeps Mesa from complaining on standard error where nobody is logged in to a desktop, such as on servers: it looks for
 * a display in the folder that this variable names. One that does not exist says as well that there is none.
 *
 * Only where the variable is missing and may be set; nothing else is kept from standard error.
 */
export function settleDrivers(): void {
  if (Deno.build.os !== "linux") return;
  const { state } = Deno.permissions.querySync({ name: "env", variable: FOLDER });
  if (state === "granted" && !Deno.env.has(FOLDER)) Deno.env.set(FOLDER, "/nonexistent");
}
