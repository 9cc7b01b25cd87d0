// uses: grid
// What the backward pass needs of a query's forward pass: the log-sum of its scores, and mean = out · grad_out.
struct Params { rows: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> out: array<f32>; // [T, H, head_dim]
@group(0) @binding(2) var<storage, read> grad_out: array<f32>; // [T, H, head_dim]
@group(0) @binding(3) var<storage, read> log_sums: array<f32>; // [T, H]
@group(0) @binding(4) var<storage, read_write> stats: array<vec2<f32>>; // [T, H]: log-sum, mean

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = grid_index(group, groups) * 64u + local;
  if (row >= params.rows) {
    return;
  }
  var mean = 0.0;
  for (var i = row * HEAD_DIM; i < (row + 1u) * HEAD_DIM; i++) {
    mean += out[i] * grad_out[i];
  }
  stats[row] = vec2<f32>(log_sums[row], mean);
}
