// uses: grid reduce
// Σ x² over runs of 4096 elements, one pair per workgroup, from `place` on: an exponent e, and the sum of (x · 2^(127 - e))²,
// whose largest square is about 1, so that none overflows and none that counts vanishes.
struct Params { count: u32, place: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec2<f32>>; // per run: exponent, scaled sum

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  var values: array<f32, 16>;
  var largest = 0u;
  for (var i = 0u; i < 16u; i++) {
    let at = run * 4096u + i * 256u + local;
    if (at < params.count) {
      values[i] = x[at];
      largest = max(largest, (bitcast<u32>(values[i]) >> 23u) & 255u);
    }
  }
  // Both 2^(127 - e) and 2^(e - 127) must be floats of full precision.
  let exponent = clamp(reduce_max(local, f32(largest)), 1.0, 253.0);
  let scale = bitcast<f32>((254u - u32(exponent)) << 23u);
  var sum = 0.0;
  for (var i = 0u; i < 16u; i++) {
    let scaled = values[i] * scale;
    sum += scaled * scaled;
  }
  let total = reduce_sum(local, sum);
  if (local == 0u && run * 4096u < params.count) {
    sums[params.place + run] = vec2<f32>(exponent, total);
  }
}
