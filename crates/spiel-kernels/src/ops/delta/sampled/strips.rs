//! Layers whose gradients are sampled, and their rows that are done at a time.

use std::mem::take;
use std::ops::Range;

/// Places of a weight where its gradient is wanted.
pub struct Slots<'a> {
    /// Sorted, flat over `[out, in]`.
    pub indices: &'a [u32],
    /// What the gradients are added to, one for each.
    pub grads: &'a mut [f32],
}

/// A linear layer.
pub struct SampledLayer<'a> {
    /// `[T, out]`.
    pub grad_y: &'a [f32],
    /// Of the layer.
    pub outputs: usize,
    /// Such as the deltas, and the candidates.
    pub lists: Vec<Slots<'a>>,
}

/// Rows of a layer's weight and the slots in them.
pub(super) struct Strip<'a> {
    /// Of the whole layer.
    pub(super) grad_y: &'a [f32],
    /// Of the whole layer.
    pub(super) outputs: usize,
    pub(super) rows: Range<usize>,
    pub(super) lists: Vec<Slots<'a>>,
}

impl<'a> SampledLayer<'a> {
    pub(super) fn slots(&self) -> usize {
        self.lists.iter().map(|slots| slots.indices.len()).sum()
    }

    /// Cuts it after every so many rows.
    pub(super) fn strips(self, inputs: usize, rows: usize) -> impl Iterator<Item = Strip<'a>> {
        let Self { grad_y, outputs, mut lists } = self;
        (0..outputs).step_by(rows).map(move |first| {
            let rows = first..outputs.min(first + rows);
            let end = rows.end * inputs;
            let lists = lists.iter_mut().map(|slots| slots.take_before(end)).collect();
            Strip { grad_y, outputs, rows, lists }
        })
    }
}

/// The same layers with gradients that are added to `sums`, list after list.
pub(super) fn summed_in<'s, 'a: 's>(
    layers: &[SampledLayer<'a>],
    mut sums: &'s mut [f32],
) -> Vec<SampledLayer<'s>> {
    let mut summed = |slots: &Slots<'a>| {
        let (grads, rest) = take(&mut sums).split_at_mut(slots.indices.len());
        sums = rest;
        Slots { indices: slots.indices, grads }
    };
    let mut layer_summed = |layer: &SampledLayer<'a>| SampledLayer {
        grad_y: layer.grad_y,
        outputs: layer.outputs,
        lists: layer.lists.iter().map(&mut summed).collect(),
    };
    layers.iter().map(&mut layer_summed).collect()
}

impl Slots<'_> {
    /// Takes away the slots before a position.
    fn take_before(&mut self, end: usize) -> Self {
        let count = self.indices.partition_point(|index| (*index as usize) < end);
        let (indices, later_indices) = self.indices.split_at(count);
        let (grads, later_grads) = take(&mut self.grads).split_at_mut(count);
        (self.indices, self.grads) = (later_indices, later_grads);
        Self { indices, grads }
    }
}
