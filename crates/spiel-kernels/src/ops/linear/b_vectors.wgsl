// B whose lines all begin at multiples of four elements.
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

fn b_four(element: u32) -> vec4<f32> {
  return b[element / 4u];
}

fn b_one(element: u32) -> f32 {
  return b[element / 4u][element % 4u];
}
