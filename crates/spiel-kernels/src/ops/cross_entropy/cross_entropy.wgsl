// uses: grid reduce
// loss = log Σ exp(logits) - logits[target]; with BACKWARD the logits become scale · (softmax - onehot), and with CAPPED
// that times the slope of the soft cap that they came from. A workgroup owns a row.
struct Params { count: u32, vocab: u32, first: u32, scale: f32, cap: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>; // [count, V]
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = grid_index(group, groups);
  if (row >= params.count) {
    return;
  }
  let begin = row * params.vocab;
  var largest = -3.4e38;
  for (var i = local; i < params.vocab; i += 256u) {
    largest = max(largest, logits[begin + i]);
  }
  let shift = reduce_max(local, largest);
  var sum = 0.0;
  for (var i = local; i < params.vocab; i += 256u) {
    sum += exp(logits[begin + i] - shift);
  }
  let total = reduce_sum(local, sum);
  let target_token = targets[params.first + row];
  if (local == 0u) {
    losses[params.first + row] = log(total) + shift - logits[begin + target_token];
  }
  if (BACKWARD) {
    // The loss is read from the logits before they are overwritten.
    storageBarrier();
    workgroupBarrier();
    for (var i = local; i < params.vocab; i += 256u) {
      let hit = select(0.0, params.scale, i == target_token);
      let grad = exp(logits[begin + i] - shift) * params.scale / total - hit;
      if (CAPPED) {
        let share = logits[begin + i] / params.cap;
        logits[begin + i] = grad * (1.0 - share * share);
      } else {
        logits[begin + i] = grad;
      }
    }
  }
}
