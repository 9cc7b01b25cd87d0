/** One line for what a schema found wrong. */

import type { ZodError } from "npm:zod@4.6.7";

/** The first issue as `field.path: what was expected`; the rest usually follow from it. */
export function firstIssue(error: ZodError): string {
  const issue = error.issues[0];
  if (!issue) return "invalid";
  const path = issue.path.map(String).join(".");
  return path ? `${path}: ${issue.message}` : issue.message;
}
