// A whose lines begin anywhere.
@group(0) @binding(1) var<storage, read> a: array<f32>;

fn a_four(element: u32) -> vec4<f32> {
  return vec4<f32>(a[element], a[element + 1u], a[element + 2u], a[element + 3u]);
}

fn a_one(element: u32) -> f32 {
  return a[element];
}
