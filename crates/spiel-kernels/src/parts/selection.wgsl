// The state of a radix selection.
struct Selection {
  threshold: u32, // digits found so far of the last key taken
  wanted: u32, // keys still needed among those that tie with the threshold
  chosen: u32, // keys taken in all
  pad: u32,
}
