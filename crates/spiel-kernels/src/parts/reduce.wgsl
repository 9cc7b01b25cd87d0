// Reductions over a workgroup of REDUCE_WIDTH invocations, a power of two, in a fixed tree. Every invocation gets the result.
var<workgroup> reduce_lanes: array<f32, REDUCE_WIDTH>;

fn reduce_sum(local: u32, value: f32) -> f32 {
  reduce_lanes[local] = value;
  workgroupBarrier();
  for (var width = REDUCE_WIDTH / 2u; width > 0u; width /= 2u) {
    if (local < width) {
      reduce_lanes[local] += reduce_lanes[local + width];
    }
    workgroupBarrier();
  }
  let sum = reduce_lanes[0];
  workgroupBarrier();
  return sum;
}

fn reduce_max(local: u32, value: f32) -> f32 {
  reduce_lanes[local] = value;
  workgroupBarrier();
  for (var width = REDUCE_WIDTH / 2u; width > 0u; width /= 2u) {
    if (local < width) {
      reduce_lanes[local] = max(reduce_lanes[local], reduce_lanes[local + width]);
    }
    workgroupBarrier();
  }
  let largest = reduce_lanes[0];
  workgroupBarrier();
  return largest;
}
