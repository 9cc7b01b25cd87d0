// uses: grid
// out[rows[first + i]] = x[i]. Only a window of the output is bound, `length` rows from `start` on.
struct Params { count: u32, width: u32, first: u32, start: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [count / width, width]
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [_, width]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = grid_index(group, groups) * 256u + local;
  if (i < params.count) {
    let row = rows[params.first + i / params.width] - params.start; // wraps when it is before the window
    if (row < params.length) {
      out[row * params.width + i % params.width] = x[i];
    }
  }
}
