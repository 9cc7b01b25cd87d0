/** Names that are addresses of the web, and how they are told and written down. */

/** The address that a name is; null for any other name. */
export function urlOf(name: string): URL | null {
  return /^https?:\/\//i.test(name) ? URL.parse(name) : null;
}

/** Where a file of the web is, for messages: what stands behind a "?" may be as good as a password. */
export function shownUrl({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}

/** A name of a model or of data as it may be told and written down; the weight of data stays at its end. */
export function shownName(name: string): string {
  const url = urlOf(name);
  if (url === null || !/[?#@]/.test(name)) return name;
  const [, weight = ""] = /[?#].*(:[\d.e+-]+)$/i.exec(name) ?? [];
  return shownUrl(url) + weight;
}
