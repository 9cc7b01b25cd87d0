/** Markup that cannot be broken by what is put into it. */

/** Text that is markup already. */
export class Markup {
  constructor(readonly text: string) {}
}

/** What may stand in a template: text is escaped, markup and lists of it are not. */
export type MarkupValue = string | number | Markup | null | readonly MarkupValue[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Builds markup; every interpolated text is escaped for use in content and quoted attributes. */
export function markup(parts: TemplateStringsArray, ...values: MarkupValue[]): Markup {
  const texts = values.map((value, index) => render(value) + parts[index + 1]!);
  return new Markup(parts[0]! + texts.join(""));
}

function render(value: MarkupValue): string {
  if (value === null) return "";
  if (value instanceof Markup) return value.text;
  if (typeof value === "object") return value.map(render).join("");
  return String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}
