// uses: grid keys runs selection
// Writes the indices of the chosen keys, ascending; of equal keys the lower indices are taken. Keys are read by
// neighbours side by side and remembered as bits; then an invocation writes those of a word of 32.
struct Params { count: u32, first: u32 } // keys, and the index of the first
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> selection: Selection;
@group(0) @binding(3) var<storage, read> runs: array<vec2<u32>>; // per run of all keys: its place, equal keys of earlier runs
@group(0) @binding(4) var<storage, read_write> chosen: array<u32>;

var<workgroup> above: array<atomic<u32>, 256>;
var<workgroup> equal: array<atomic<u32>, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  let start = run * 8192u;
  for (var i = local; i < 8192u; i += 256u) {
    if (start + i < params.count) {
      let key = key_of(keys[start + i]);
      let bit = 1u << (i % 32u);
      if (key > selection.threshold) {
        atomicOr(&above[i / 32u], bit);
      } else if (key == selection.threshold) {
        atomicOr(&equal[i / 32u], bit);
      }
    }
  }
  workgroupBarrier();
  let certain = atomicLoad(&above[local]);
  let ties = atomicLoad(&equal[local]);
  let counts = vec2<u32>(countOneBits(certain), countOneBits(ties));
  let before = counts_until(local, counts) - counts;
  let earlier = runs[params.first / 8192u + run];
  // Ties that are still taken: behind those of earlier runs, and behind those of earlier words.
  let of_run = selection.wanted - min(selection.wanted, earlier.y);
  var left = of_run - min(of_run, before.y);
  var place = earlier.x + before.x + min(of_run, before.y);
  for (var bits = certain | ties; bits != 0u; bits &= bits - 1u) {
    let number = firstTrailingBit(bits);
    let tie = (ties >> number) & 1u;
    if (tie <= left) {
      chosen[place] = params.first + start + local * 32u + number;
      place++;
      left -= tie;
    }
  }
}
