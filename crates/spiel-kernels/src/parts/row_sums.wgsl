// Sums of ROWS rows for TOKENS tokens, of which LANES adjacent invocations have a part each, added in a fixed order.
var<workgroup> row_parts: array<f32, TOKENS * ROWS * LANES>; // [TOKENS, ROWS, LANES]

fn put_sums(local: u32, sums: array<f32, TOKENS>) {
  var parts = sums;
  for (var token = 0u; token < TOKENS; token++) {
    row_parts[token * ROWS * LANES + local] = parts[token];
  }
  workgroupBarrier();
}

// The sum of row `number` % ROWS for token `number` / ROWS.
fn sum_of_row(number: u32) -> f32 {
  var sum = 0.0;
  for (var lane = 0u; lane < LANES; lane++) {
    sum += row_parts[number * LANES + lane];
  }
  return sum;
}
