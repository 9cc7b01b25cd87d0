// uses: elements
// weights[indices] = base. Only a window of the weights is bound, `length` entries from `first` on.
struct Params { count: u32, first: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k]
@group(0) @binding(2) var<storage, read> base: array<f32>; // [k]
@group(0) @binding(3) var<storage, read_write> weights: array<f32>; // [out, in]

fn element(i: u32) {
  let at = indices[i] - params.first; // wraps when it is before the window
  if (at < params.length) {
    weights[at] = base[i];
  }
}
