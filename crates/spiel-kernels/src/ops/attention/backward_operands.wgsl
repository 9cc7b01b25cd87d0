// What the backward pass needs beside the operands of the forward pass.
@group(0) @binding(5) var<storage, read> stats: array<vec2<f32>>; // [T, H]: log-sum, mean
@group(0) @binding(6) var<storage, read> grad_out: array<f32>; // [T, H, head_dim]

fn grad_four(row: u32, at: u32) -> vec4<f32> {
  if (!is_query(row) || at >= HEAD_DIM) {
    return vec4<f32>();
  }
  let i = query_row(row);
  return inside(at, vec4<f32>(
    grad_out[place(i, at, 0u)], grad_out[place(i, at, 1u)],
    grad_out[place(i, at, 2u)], grad_out[place(i, at, 3u)]));
}

fn stats_of(row: u32) -> vec2<f32> {
  if (!is_query(row)) {
    return vec2<f32>();
  }
  return stats[query_row(row)];
}
