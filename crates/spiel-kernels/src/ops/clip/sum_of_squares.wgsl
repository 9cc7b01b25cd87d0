// uses: grid reduce
// Σ x² over runs of 4096 elements, one sum per workgroup, from `place` on.
struct Params { count: u32, place: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  var sum = 0.0;
  for (var i = 0u; i < 16u; i++) {
    let at = run * 4096u + i * 256u + local;
    if (at < params.count) {
      sum += x[at] * x[at];
    }
  }
  let total = reduce_sum(local, sum);
  if (local == 0u && run * 4096u < params.count) {
    sums[params.place + run] = total;
  }
}
