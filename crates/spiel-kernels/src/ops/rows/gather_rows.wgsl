// uses: elements
// out[i] = x[rows[first + i]]. Only a window of x is bound, `length` rows from `start` on.
struct Params { count: u32, width: u32, first: u32, start: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [_, width]
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [count / width, width]

fn element(i: u32) {
  let row = rows[params.first + i / params.width] - params.start; // wraps when it is before the window
  if (row < params.length) {
    out[i] = x[row * params.width + i % params.width];
  }
}
