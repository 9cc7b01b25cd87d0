//! Drop and grow on the device, step by step as `spiel_kernels::ops::reselect` does it on slices.

use super::pool::Temporary;
use super::{GpuBuffer, GpuDevice};
use crate::device::{AdamWState, CandidateState, Growth, Sm3State};
use spiel_kernels::ops::adamw::Seed;
use spiel_kernels::ops::linear::LinearShape;
use spiel_kernels::ops::reselect::{self, GrownEntry};
use spiel_kernels::ops::top_k::{self, Keys};
use std::ops::Range;

/// What is replaced: as many slots as positions.
struct Replacement<'a> {
    /// Positions that come, ascending.
    grown: Temporary<'a>,
    /// Two words, of which the second is how many.
    counts: Temporary<'a>,
    /// For every slot of the new order the old one, or the number of slots plus the number of the grown position.
    origins: Temporary<'a>,
}

impl GpuDevice {
    /// A selection that is to take `count` keys.
    pub(super) fn selection_of(&self, count: usize) -> Temporary<'_> {
        self.uploaded(&[0, count as u32, count as u32, 0])
    }

    /// Writes the indices of the selection's largest keys, ascending; of equal keys the lower index wins.
    pub(super) fn select(
        &self,
        kind: Keys,
        keys: &GpuBuffer,
        count: usize,
        selection: &GpuBuffer,
        chosen: &GpuBuffer,
    ) {
        let digits = self.zeroed(top_k::DIGITS);
        let total = count.div_ceil(top_k::RUN);
        let cuts = self.cuts(total, &[top_k::RUN * 4]);
        // The keys of a part, and the index of its first.
        let part = |runs: &Range<usize>| {
            let first = runs.start * top_k::RUN;
            (self.part(keys, runs, top_k::RUN * 4), count.min(runs.end * top_k::RUN) - first, first)
        };
        for shift in top_k::SHIFTS {
            for cut in &cuts {
                let (keys, count, _) = part(cut);
                let program = top_k::count_digits_program(kind, count, shift);
                self.run(&program, &[keys, selection.whole(), digits.whole()]);
            }
            self.run(&top_k::choose_digit_program(shift), &[&*digits, selection]);
        }
        let runs = self.temporary(2 * total);
        for cut in &cuts {
            let (keys, count, first) = part(cut);
            let program = top_k::count_chosen_program(kind, count, first);
            self.run(&program, &[keys, selection.whole(), runs.whole()]);
        }
        self.run(&top_k::place_runs_program(total), &[selection, &*runs]);
        for cut in &cuts {
            let (keys, count, first) = part(cut);
            let program = top_k::write_chosen_program(kind, count, first);
            self.run(&program, &[keys, selection.whole(), runs.whole(), chosen.whole()]);
        }
    }

    /// Replaces `count` deltas, or as many as can be: that is the second of two words at this place of `replaced`.
    pub(super) fn replace_deltas(
        &self,
        indices: &mut GpuBuffer,
        values: &mut GpuBuffer,
        growth: Growth<'_, GpuBuffer>,
        count: usize,
        (replaced, at): (&GpuBuffer, usize),
    ) {
        if count == 0 {
            return;
        }
        let replacement = match growth {
            Growth::AccumulatedGradients { candidates, state, seed } => {
                let (replacement, sources) = self.by_gradients(indices, values, candidates, count);
                self.rearrange_moments(&replacement.origins, state, candidates, &sources, seed);
                replacement
            }
            Growth::MomentumApproximation { state, shape, scratch } => {
                self.by_momentum(indices, values, (state, shape, scratch), count)
            }
        };
        let Replacement { grown, counts, origins } = replacement;
        self.rearrange(&origins, values, GrownEntry::Constant(0), &origins);
        self.rearrange(&origins, indices, GrownEntry::Copied, &grown);
        self.record_copy(&counts.buffer, 2, &replaced.buffer, at);
    }

    /// What SpIEL-AG replaces, and the candidates that the grown positions come from.
    fn by_gradients(
        &self,
        indices: &GpuBuffer,
        values: &GpuBuffer,
        candidates: &CandidateState<GpuBuffer>,
        count: usize,
    ) -> (Replacement<'_>, Temporary<'_>) {
        let slots = indices.len();
        let flags = self.zeroed(slots);
        let smallest = self.smallest(values, &flags, false, &self.selection_of(count));
        self.run(&reselect::mark_program(count), &[&smallest, &flags]);

        let (slot_of, keys) = (self.temporary(slots), self.temporary(slots));
        let counts = self.zeroed(2);
        let CandidateState { indices: found, grads, .. } = candidates;
        let program = reselect::candidate_keys_program(slots);
        self.run(&program, &[indices, &*flags, found, grads, &*slot_of, &*keys, &*counts]);
        let (selection, chosen) = (self.temporary(top_k::SELECTION), self.temporary(slots));
        self.run(&reselect::want_program(count, 0), &[&counts, &selection]);
        self.select(Keys::Words, &keys, slots, &selection, &chosen);
        let is_grown = self.zeroed(slots);
        let program = reselect::settle_program(slots);
        self.run(&program, &[&chosen, &selection, &slot_of, &flags, &is_grown, &counts]);

        let (selection, sources) = (self.temporary(top_k::SELECTION), self.temporary(slots));
        self.run(&reselect::want_program(count, 1), &[&counts, &selection]);
        self.select(Keys::Words, &is_grown, slots, &selection, &sources);
        let grown = self.temporary(slots);
        self.gather_words(found, 0..slots, &sources, false, &grown);
        let selection = self.temporary(top_k::SELECTION);
        self.run(&reselect::want_program(count, 1), &[&counts, &selection]);
        let dropped = self.smallest(values, &flags, true, &selection);
        (self.replacement(indices, &dropped, grown, counts), sources)
    }

    /// What SpIEL-MA replaces.
    fn by_momentum(
        &self,
        indices: &GpuBuffer,
        values: &GpuBuffer,
        (state, shape, scratch): (&Sm3State<GpuBuffer>, LinearShape, &GpuBuffer),
        count: usize,
    ) -> Replacement<'_> {
        let (slots, positions) = (indices.len(), shape.inputs * shape.outputs);
        for rows in self.cuts(shape.outputs, &[4, shape.inputs * 4]) {
            let program = reselect::momentum_keys_program(rows.len(), shape.inputs);
            let keys = self.part(scratch, &rows, shape.inputs * 4);
            let rows = self.part(&state.rows, &rows, 4);
            self.run(&program, &[rows, state.columns.whole(), keys]);
        }
        for window in self.cuts(positions, &[4]) {
            let program = reselect::exclude_program(slots, &window);
            self.run(&program, &[indices.whole(), self.part(scratch, &window, 4)]);
        }
        let grown = self.temporary(slots);
        self.select(Keys::Words, scratch, positions, &self.selection_of(count), &grown);
        let flags = self.temporary(slots);
        let dropped = self.smallest(values, &flags, false, &self.selection_of(count));
        let counts = self.uploaded(&[0, count as u32]);
        self.replacement(indices, &dropped, grown, counts)
    }

    /// The selection's smallest deltas, of all or of the flagged ones.
    fn smallest(
        &self,
        values: &GpuBuffer,
        flags: &GpuBuffer,
        masked: bool,
        selection: &GpuBuffer,
    ) -> Temporary<'_> {
        let count = values.len();
        let (keys, chosen) = (self.temporary(count), self.temporary(count));
        self.run(&reselect::slot_keys_program(count, masked), &[values, flags, &*keys]);
        self.select(Keys::Words, &keys, count, selection, &chosen);
        chosen
    }

    /// The replacement of these slots, ascending.
    fn replacement<'a>(
        &'a self,
        indices: &GpuBuffer,
        dropped: &GpuBuffer,
        grown: Temporary<'a>,
        counts: Temporary<'a>,
    ) -> Replacement<'a> {
        let origins = self.temporary(indices.len());
        let program = reselect::place_kept_program(indices.len());
        self.run(&program, &[indices, dropped, &*grown, &*counts, &*origins]);
        Replacement { grown, counts, origins }
    }

    /// Ages and moments in their new order, those of grown deltas seeded from the candidates that they come from.
    fn rearrange_moments(
        &self,
        origins: &GpuBuffer,
        AdamWState { ages, exp_avg, exp_avg_sq }: &mut AdamWState<GpuBuffer>,
        candidates: &CandidateState<GpuBuffer>,
        sources: &GpuBuffer,
        seed: Seed,
    ) {
        let slots = sources.len();
        let of_grown = |sums: &GpuBuffer| {
            let seeds = self.temporary(slots);
            self.gather_words(sums, 0..slots, sources, false, &seeds);
            seeds
        };
        let (first, second) = seed.factors();
        self.rearrange(origins, ages, GrownEntry::Constant(seed.age.to_bits()), origins);
        let seeds = of_grown(&candidates.grads);
        self.rearrange(origins, exp_avg, GrownEntry::Scaled(first), &seeds);
        let seeds = of_grown(&candidates.grads_sq);
        self.rearrange(origins, exp_avg_sq, GrownEntry::Scaled(second), &seeds);
    }

    fn rearrange(
        &self,
        origins: &GpuBuffer,
        entries: &mut GpuBuffer,
        grown: GrownEntry,
        seeds: &GpuBuffer,
    ) {
        let count = entries.len();
        let old = self.temporary(count);
        self.record_copy(&entries.buffer, count, &old.buffer, 0);
        let program = reselect::rearrange_program(count, grown);
        self.run(&program, &[origins, &*old, seeds, entries]);
    }
}
