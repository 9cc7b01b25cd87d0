// uses: $element
// B whose lines all begin at multiples of four elements.
@group(0) @binding(2) var<storage, read> b: array<vec4<Element>>;

fn b_four(element: u32) -> vec4<Element> {
  return b[element / 4u];
}

fn b_one(element: u32) -> Element {
  return b[element / 4u][element % 4u];
}
