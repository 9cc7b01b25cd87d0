// Eight dense weights, or as many as are left.
@group(0) @binding(2) var<storage, read_write> weights: array<Element>; // [out, in]

fn store8(first: u32, values: array<f32, 8>) {
  for (var i = 0u; i < min(8u, params.count - first); i++) {
    weights[first + i] = to_element(values[i]);
  }
}
