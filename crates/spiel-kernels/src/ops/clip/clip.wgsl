// uses: clip reduce
// The norm of all gradients out of their partial sums, and what it makes of the update: see `Clip`. One workgroup.
struct Params { count: u32, step: u32, max_norm: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec2<f32>>; // per run: exponent, scaled sum
@group(0) @binding(2) var<storage, read> loss: f32;
@group(0) @binding(3) var<storage, read_write> clip: Clip;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
  var largest = 1.0;
  for (var i = local; i < params.count; i += 256u) {
    largest = max(largest, sums[i].x);
  }
  let exponent = reduce_max(local, largest);
  var sum = 0.0;
  for (var i = local; i < params.count; i += 256u) {
    // Sums so much smaller than the largest do not count.
    let below = u32(min(exponent - sums[i].x, 60.0));
    sum += sums[i].y * bitcast<f32>((127u - 2u * below) << 23u);
  }
  let total = reduce_sum(local, sum);
  if (local > 0u) {
    return;
  }
  let norm = sqrt(total) * bitcast<f32>(u32(exponent) << 23u);
  clip.norm = norm;
  clip.norm_rest = 0.0;
  clip.factor = 1.0;
  if (params.max_norm > 0.0) {
    clip.factor = min(1.0, params.max_norm / (norm + 1e-6));
  }
  clip.loss = loss;
  clip.loss_rest = 0.0;
  if (!(is_finite(total) && is_finite(norm) && is_finite(loss)) && clip.failed_step == 0u) {
    clip.failed_step = params.step;
  }
}

// Compilers may take floats for finite; their bits do not lie.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7F800000u) != 0x7F800000u;
}
