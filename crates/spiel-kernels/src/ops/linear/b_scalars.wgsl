// uses: $element
// B whose lines begin anywhere.
@group(0) @binding(2) var<storage, read> b: array<Element>;

fn b_four(element: u32) -> vec4<Element> {
  return vec4<Element>(b[element], b[element + 1u], b[element + 2u], b[element + 3u]);
}

fn b_one(element: u32) -> Element {
  return b[element];
}
