// Dense weights in f32.
alias Element = f32;

fn to_element(x: f32) -> Element {
  return x;
}
