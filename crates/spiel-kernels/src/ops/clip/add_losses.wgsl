// uses: reduce
// Adds `scale` times the sum of all losses. One workgroup, whose invocations add runs of sixteen, so that no sum is long.
struct Params { count: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: f32;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var first = local; first < params.count; first += 4096u) {
    var part = 0.0;
    for (var i = 0u; i < 16u && first + i * 256u < params.count; i++) {
      part += losses[first + i * 256u];
    }
    sum += part;
  }
  let total = reduce_sum(local, sum);
  if (local == 0u) {
    loss += params.scale * total;
  }
}
