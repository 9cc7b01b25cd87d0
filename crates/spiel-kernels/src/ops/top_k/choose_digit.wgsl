// uses: selection
// Finds the digit at which the wanted keys run out, counting from the largest, and clears the counts. One invocation.
struct Params { shift: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> digits: array<u32>; // [2048]
@group(0) @binding(2) var<storage, read_write> selection: Selection;

@compute @workgroup_size(1)
fn main() {
  var digit = 2047u;
  var wanted = selection.wanted;
  while (digit > 0u && digits[digit] < wanted) {
    wanted -= digits[digit];
    digit--;
  }
  selection.threshold |= digit << params.shift;
  selection.wanted = wanted;
  for (var i = 0u; i < 2048u; i++) {
    digits[i] = 0u;
  }
}
