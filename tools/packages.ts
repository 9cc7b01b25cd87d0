/** Installs packages of the operating system where that is allowed, and says what to install elsewhere. */

import { exec, execOrThrow } from "./exec.ts";

/** Whether this is Debian (or a system like it) and packages may be installed. */
async function mayInstall(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  return (await exec(["apt-get", "--version"])).code === 0;
}

/**
 * Installs Debian packages when running as root on Debian.
 *
 * @param what What they are for, to begin the message with.
 * @param packages Names of the Debian packages.
 * @param elsewhere What to install on other systems.
 * @throws Error with a message that says what to install, when this process may not.
 */
export async function installPackages(
  what: string,
  packages: readonly string[],
  elsewhere: string,
): Promise<void> {
  const names = packages.join(" ");
  if (!await mayInstall()) {
    throw new Error(
      `Cannot find ${what}. On Debian run \`apt-get install ${names}\` as root; ${elsewhere}`,
    );
  }
  console.log(`installing ${names}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await execOrThrow(["apt-get", "update"], { env });
  await execOrThrow(["apt-get", "install", "--yes", "--no-install-recommends", ...packages], {
    env,
  });
}
