/** Amounts of memory as people write them, such as `12 GiB`. */

/** What `parseBytes` reads. */
export const BYTES = /^(?:none|(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|KiB|MiB|GiB)?)$/;
const BYTE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** The bytes that are meant; 0 for `none`. */
export function parseBytes(value: number | string): number {
  const [, amount = "0", unit] = BYTES.exec(String(value)) ?? [];
  return Math.floor(Number(amount) * (BYTE_UNITS[unit ?? "B"] ?? NaN));
}
