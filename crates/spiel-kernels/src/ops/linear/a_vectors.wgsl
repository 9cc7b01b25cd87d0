// A whose lines all begin at multiples of four elements.
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;

fn a_four(element: u32) -> vec4<f32> {
  return a[element / 4u];
}

fn a_one(element: u32) -> f32 {
  return a[element / 4u][element % 4u];
}
