// uses: elements $weight $element
// weights[indices] = stored[indices] + values; the indices are different. The stored weights are decoded again, so that a
// sum is rounded once. Only a window of the weights is bound, `length` entries from `first` on.
struct Params { count: u32, first: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> indices: array<u32>; // [k]
@group(0) @binding(3) var<storage, read> values: array<f32>; // [k]
@group(0) @binding(4) var<storage, read_write> weights: array<Element>; // [out, in]

fn element(i: u32) {
  let at = indices[i] - params.first; // wraps when it is before the window
  if (at < params.length) {
    var decoded = decode8(at / 8u * 8u);
    weights[at] = to_element(decoded[at % 8u] + values[i]);
  }
}
