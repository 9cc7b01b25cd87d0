// Bytes of quantised blocks, whose sizes are even but not whole words.
@group(0) @binding(1) var<storage, read> stored: array<u32>;

// Two bytes from an even offset.
fn stored_u16(offset: u32) -> u32 {
  return (stored[offset / 4u] >> (8u * (offset % 4u))) & 0xFFFFu;
}

// A byte.
fn stored_u8(offset: u32) -> u32 {
  return (stored[offset / 4u] >> (8u * (offset % 4u))) & 0xFFu;
}

fn stored_half(offset: u32) -> f32 {
  return unpack2x16float(stored_u16(offset)).x;
}

// Four bytes from an even offset.
fn stored_u32(offset: u32) -> u32 {
  return stored_u16(offset) | (stored_u16(offset + 2u) << 16u);
}
