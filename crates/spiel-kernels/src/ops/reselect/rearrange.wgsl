// uses: elements
// Puts an array into its new order; a grown delta's entry is seeded: `factor` times what `seeds` holds for it, or
// `constant` where SEED is 0; SEED 1 copies the word.
struct Params { count: u32, constant: u32, factor: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> origins: array<u32>; // [k]
@group(0) @binding(2) var<storage, read> old: array<u32>; // [k] words
@group(0) @binding(3) var<storage, read> seeds: array<u32>; // words, by number of the grown
@group(0) @binding(4) var<storage, read_write> entries: array<u32>; // [k] words

fn element(i: u32) {
  let origin = origins[i];
  if (origin < params.count) {
    entries[i] = old[origin];
  } else if (SEED == 1u) {
    entries[i] = seeds[origin - params.count];
  } else if (SEED == 2u) {
    entries[i] = bitcast<u32>(bitcast<f32>(seeds[origin - params.count]) * params.factor);
  } else {
    entries[i] = params.constant;
  }
}
