// uses: elements
// keys[indices] = 0: active positions are not grown. Only a window of the keys is bound, `length` from `first` on.
struct Params { count: u32, first: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k]
@group(0) @binding(2) var<storage, read_write> keys: array<u32>; // [out, in]

fn element(i: u32) {
  let at = indices[i] - params.first; // wraps when it is before the window
  if (at < params.length) {
    keys[at] = 0u;
  }
}
