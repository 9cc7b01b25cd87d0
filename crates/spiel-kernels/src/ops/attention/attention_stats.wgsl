// uses: grid reduce
// What a query's backward pass needs of its forward pass: the log-sum of its scores, and mean = out · grad_out.
struct Params { rows: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> out: array<f32>; // [T, H, head_dim]
@group(0) @binding(2) var<storage, read> grad_out: array<f32>; // [T, H, head_dim]
@group(0) @binding(3) var<storage, read> log_sums: array<f32>; // [T, H]
@group(0) @binding(4) var<storage, read_write> stats: array<vec2<f32>>; // [T, H]: log-sum, mean

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = grid_index(group, groups);
  if (row >= params.rows) {
    return;
  }
  var sum = 0.0;
  for (var i = local; i < HEAD_DIM; i += 128u) {
    sum += out[row * HEAD_DIM + i] * grad_out[row * HEAD_DIM + i];
  }
  let mean = reduce_sum(local, sum);
  if (local == 0u) {
    stats[row] = vec2<f32>(log_sums[row], mean);
  }
}
