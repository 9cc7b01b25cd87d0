/**
 * The order of rows in which some GGUF architectures store q and k: those of the two halves of each head alternate. Row j
 * of half h, which Hugging Face models have at `h * head_dim / 2 + j`, lies at `2 * j + h`. Rows are whole packed blocks, so
 * moving them changes no value.
 */

/** q and k projections, whose rows follow the rotary layout. */
const ROTARY_PROJECTION = /\.self_attn\.[qk]_proj\.(weight|bias)$/;

/** Whether a tensor, by its Hugging Face name, has such rows. */
export function isRotaryProjection(name: string): boolean {
  return ROTARY_PROJECTION.test(name);
}

/** Rows of whole heads in Hugging Face's order, of rows as stored; in a buffer of their size where one is given. */
export function withHalvesApart(
  rows: Uint8Array<ArrayBuffer>,
  rowBytes: number,
  headDim: number,
  into = new Uint8Array(rows.length),
): Uint8Array<ArrayBuffer> {
  moveRows(rows, into, rowBytes, headDim, (row, place) => [place, row]);
  return into;
}

/** Rows of whole heads as stored, of rows in Hugging Face's order. */
export function withHalvesInterleaved(
  rows: Uint8Array<ArrayBuffer>,
  rowBytes: number,
  headDim: number,
): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(rows.length);
  moveRows(rows, result, rowBytes, headDim, (row, place) => [row, place]);
  return result;
}

/** Moves rows inside each head; `between` is told a row's place in Hugging Face's order and as stored. */
function moveRows(
  rows: Uint8Array<ArrayBuffer>,
  result: Uint8Array<ArrayBuffer>,
  rowBytes: number,
  headDim: number,
  between: (row: number, place: number) => [from: number, to: number],
): void {
  const half = headDim / 2;
  const headBytes = rowBytes * headDim;
  for (let head = 0; head < rows.length; head += headBytes) {
    for (let row = 0; row < headDim; row++) {
      const [from, to] = between(row, 2 * (row % half) + Math.floor(row / half));
      const at = head + from * rowBytes;
      result.set(rows.subarray(at, at + rowBytes), head + to * rowBytes);
    }
  }
}
