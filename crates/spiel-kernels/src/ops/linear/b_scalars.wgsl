// B whose lines begin anywhere.
@group(0) @binding(2) var<storage, read> b: array<f32>;

fn b_four(element: u32) -> vec4<f32> {
  return vec4<f32>(b[element], b[element + 1u], b[element + 2u], b[element + 3u]);
}

fn b_one(element: u32) -> f32 {
  return b[element];
}
