// Every value has an age of its own, which advances.
@group(0) @binding(5) var<storage, read_write> ages: array<f32>; // [k]

fn corrections_of(i: u32) -> vec2<f32> {
  let age = ages[i];
  ages[i] = age + 1.0;
  return vec2<f32>(correction(params.log2_beta1, age), correction(params.log2_beta2, age));
}
