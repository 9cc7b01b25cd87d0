// uses: grid runs
// How many positions every run of the bitmap's words marks.
struct Params { words: u32, first: u32 } // words of the bitmap, and the number of the first
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> marks: array<u32>;
@group(0) @binding(2) var<storage, read_write> runs: array<vec2<u32>>; // per run of all words: positions, none that tie

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  let at = run * 256u + local;
  var count = 0u;
  if (at < params.words) {
    count = countOneBits(marks[at]);
  }
  let sums = counts_until(local, vec2<u32>(count, 0u));
  if (local == 255u && run * 256u < params.words) {
    runs[params.first / 256u + run] = sums;
  }
}
