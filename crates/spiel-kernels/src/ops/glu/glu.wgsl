// uses: elements $activation
// out = act(gate) · up.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate: array<f32>; // [T, F]
@group(0) @binding(2) var<storage, read> up: array<f32>; // [T, F]
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [T, F]

fn element(i: u32) {
  out[i] = gate[i] / (1.0 + exp(-curve(gate[i]))) * up[i];
}
