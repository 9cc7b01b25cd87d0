// uses: selection
// Finds the digit at which the wanted keys run out, counting from the largest, and clears the counts. One workgroup: an
// invocation sums a stretch of eight digits, and that in whose stretch they run out looks through it.
struct Params { shift: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> digits: array<u32>; // [2048]
@group(0) @binding(2) var<storage, read_write> selection: Selection;

var<workgroup> stretches: array<u32, 256>; // from the largest digits down

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
  let wanted = selection.wanted;
  let largest = 2047u - local * 8u;
  var counts: array<u32, 8>; // from the largest down
  var sum = 0u;
  for (var i = 0u; i < 8u; i++) {
    counts[i] = digits[largest - i];
    digits[largest - i] = 0u;
    sum += counts[i];
  }
  stretches[local] = sum;
  // All have read what is wanted before it is changed.
  storageBarrier();
  workgroupBarrier();
  var before = 0u;
  for (var i = 0u; i < local; i++) {
    before += stretches[i];
  }
  // Where fewer keys are there than wanted, the last stretch has the end; where none is wanted, the first.
  let begins = before < wanted || local == 0u;
  let ends = before + sum >= wanted || local == 255u;
  if (begins && ends) {
    var i = 0u;
    while (i < 7u && before + counts[i] < wanted) {
      before += counts[i];
      i++;
    }
    selection.threshold |= (largest - i) << params.shift;
    selection.wanted = wanted - before;
  }
}
