// Rows of queries in tiles, whose columns are the keys that they see: operand 0 of the columns is the keys, 1 the values.
fn row_count() -> u32 {
  return params.queries * SHARED;
}

// The bound keys that a row sees.
fn seen_by(row: u32) -> vec2<u32> {
  if (!is_query(row)) {
    return vec2<u32>();
  }
  let last = params.first_key + params.keys;
  let range = ranges[params.first_query + row / SHARED];
  return clamp(range, vec2<u32>(params.first_key), vec2<u32>(last)) - params.first_key;
}

fn right(operand: u32, column: u32, at: u32) -> vec4<f32> {
  if (operand == 0u) {
    return key_four(column, at);
  }
  return value_four(column, at);
}
