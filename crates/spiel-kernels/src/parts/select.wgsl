// The state of a radix selection, and its keys. A key of 0 is out of the selection.
struct Selection {
  threshold: u32, // digits found so far of the last key taken
  wanted: u32, // keys still needed among those that tie with the threshold
  chosen: u32, // keys taken in all
  pad: u32,
}

// With MAGNITUDE the keys are floats, ranked by size.
fn key_of(word: u32) -> u32 {
  if (MAGNITUDE) {
    return (word & 0x7FFFFFFFu) + 1u;
  }
  return word;
}
