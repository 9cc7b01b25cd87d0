// The keys of a selection. A key of 0 is out of it; with MAGNITUDE keys are floats, ranked by size.
fn key_of(word: u32) -> u32 {
  if (MAGNITUDE) {
    return (word & 0x7FFFFFFFu) + 1u;
  }
  return word;
}
