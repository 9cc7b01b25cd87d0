// uses: grid
// Where every delta that stays goes, and from where: by its rank among those that stay, plus the grown positions below.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>; // [k], ascending
@group(0) @binding(2) var<storage, read> dropped: array<u32>; // slots that leave, ascending
@group(0) @binding(3) var<storage, read> grown: array<u32>; // positions, ascending
@group(0) @binding(4) var<storage, read> counts: array<u32>; // [2]: the second is how many of both
@group(0) @binding(5) var<storage, read_write> origins: array<u32>; // [k]: the old slot, or k + number of the grown

fn dropped_below(slot: u32, count: u32) -> u32 {
  var low = 0u;
  var high = count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (dropped[middle] < slot) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

fn grown_below(position: u32, count: u32) -> u32 {
  var low = 0u;
  var high = count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (grown[middle] < position) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

fn indices_below(position: u32) -> u32 {
  var low = 0u;
  var high = params.count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (indices[middle] < position) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = grid_index(group, groups) * 256u + local;
  let replaced = counts[1];
  if (i < params.count) {
    let before = dropped_below(i, replaced);
    if (before == replaced || dropped[before] != i) {
      origins[i - before + grown_below(indices[i], replaced)] = i;
    }
  }
  if (i < replaced) {
    let slot = indices_below(grown[i]);
    origins[i + slot - dropped_below(slot, replaced)] = params.count + i;
  }
}
