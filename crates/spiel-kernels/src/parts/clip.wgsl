// What the loss and the norm of all gradients make of an update.
struct Clip {
  norm: f32,
  norm_rest: f32, // zero here; a device with finer floats has the rest of the norm in it
  factor: f32, // of the gradients
  failed_step: u32, // the first update that was skipped, or 0
  loss: f32,
  loss_rest: f32, // as that of the norm
}

fn is_skipped(clip: Clip) -> bool {
  return clip.failed_step != 0u;
}
