// uses: grid
// Turns the pair (i, i + head_dim / 2) of every head by the position's angle: an invocation owns a pair.
struct Params { tokens: u32, heads: u32, head_dim: u32, sign: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rotations: array<f32>; // [T, head_dim]: cosines, then sines
@group(0) @binding(2) var<storage, read_write> x: array<f32>; // [T, heads, head_dim]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let half = params.head_dim / 2u;
  let index = grid_index(group, groups) * 256u + local;
  let head = index / half;
  if (head >= params.tokens * params.heads) {
    return;
  }
  let pair = index % half;
  let turn = head / params.heads * params.head_dim + pair;
  let c = rotations[turn];
  let s = rotations[turn + half] * params.sign;
  let first = head * params.head_dim + pair;
  let a = x[first];
  let b = x[first + half];
  x[first] = a * c - b * s;
  x[first + half] = b * c + a * s;
}
