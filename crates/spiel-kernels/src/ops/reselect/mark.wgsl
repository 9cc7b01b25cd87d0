// uses: elements
// flags[list[i]] = 1 for the first `count` entries of a list.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read_write> flags: array<u32>;

fn element(i: u32) {
  flags[list[i]] = 1u;
}
