// uses: grid runs
// Writes the marked positions, ascending: an invocation those of its word.
struct Params { words: u32, first: u32 } // words of the bitmap, and the number of the first
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> marks: array<u32>;
@group(0) @binding(2) var<storage, read> runs: array<vec2<u32>>; // per run of all words: where its positions go
@group(0) @binding(3) var<storage, read_write> positions: array<u32>; // [k]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let run = grid_index(group, groups);
  let at = run * 256u + local;
  var word = 0u;
  if (at < params.words) {
    word = marks[at];
  }
  let count = countOneBits(word);
  let before = counts_until(local, vec2<u32>(count, 0u)).x - count;
  if (word == 0u) {
    return;
  }
  var place = runs[params.first / 256u + run].x + before;
  while (word != 0u) {
    positions[place] = (params.first + at) * 32u + firstTrailingBit(word);
    word &= word - 1u;
    place++;
  }
}
