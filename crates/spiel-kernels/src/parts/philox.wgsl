// Philox 4x32 with 10 rounds: four random words of a counter under a key, the same as on the CPU.
fn philox(seed: vec2<u32>, block: vec4<u32>) -> vec4<u32> {
  var key = seed;
  var counter = block;
  for (var round = 0u; round < 10u; round++) {
    let left = wide_product(0xD2511F53u, counter.x);
    let right = wide_product(0xCD9E8D57u, counter.z);
    counter = vec4<u32>(right.y ^ counter.y ^ key.x, right.x, left.y ^ counter.w ^ key.y, left.x);
    key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
  }
  return counter;
}

// The 64 bits of a product, low word first, by halves of its factors.
fn wide_product(a: u32, b: u32) -> vec2<u32> {
  let low = (a & 0xFFFFu) * (b & 0xFFFFu);
  let middle = (a >> 16u) * (b & 0xFFFFu) + (low >> 16u);
  let carried = (a & 0xFFFFu) * (b >> 16u) + (middle & 0xFFFFu);
  let high = (a >> 16u) * (b >> 16u) + (middle >> 16u) + (carried >> 16u);
  return vec2<u32>(a * b, high);
}
