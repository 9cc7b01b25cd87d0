// uses: elements philox
// Draws the position of every slot, as `random::positions` does: the image of its number under a keyed permutation. A
// position is one bit of a bitmap, of which only a window is bound, `length` words from `first` on.
struct Params {
  count: u32, total: u32, half_bits: u32, // the permuted numbers have twice as many bits
  seed: u32, stream: u32,
  first: u32, length: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> marks: array<atomic<u32>>; // [total / 32]

fn element(slot: u32) {
  var position = permuted(slot);
  while (position >= params.total) {
    position = permuted(position);
  }
  let at = position / 32u - params.first; // wraps when it is before the window
  if (at < params.length) {
    atomicOr(&marks[at], 1u << (position % 32u));
  }
}

fn permuted(number: u32) -> u32 {
  let mask = (1u << params.half_bits) - 1u;
  var left = number >> params.half_bits;
  var right = number & mask;
  for (var round = 0u; round < 6u; round++) {
    let word = philox(vec2<u32>(params.seed, params.stream), vec4<u32>(right, round, 1u, 0u)).x;
    let mixed = left ^ (word & mask);
    left = right;
    right = mixed;
  }
  return (left << params.half_bits) | right;
}
