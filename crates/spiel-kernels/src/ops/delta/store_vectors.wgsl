// Eight dense weights as two vectors.
@group(0) @binding(2) var<storage, read_write> weights: array<vec4<Element>>; // [out, in]

fn store8(first: u32, values: array<f32, 8>) {
  let at = first / 4u;
  weights[at] = vec4<Element>(
    to_element(values[0]), to_element(values[1]), to_element(values[2]), to_element(values[3]));
  weights[at + 1u] = vec4<Element>(
    to_element(values[4]), to_element(values[5]), to_element(values[6]), to_element(values[7]));
}
