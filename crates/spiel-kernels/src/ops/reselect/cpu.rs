use crate::ops::top_k::{largest, magnitude_key, smallest_key};
use crate::parallel::{ELEMENTS_PER_TASK, chunks_mut};

/// The candidates of a window and what their gradients summed to, sorted by index.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    /// Flat positions, ascending.
    pub indices: &'a [u32],
    /// Σ g over the window.
    pub grads: &'a [f32],
}

/// What to replace in one module.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Slots of the deltas to drop, ascending.
    pub dropped: Vec<u32>,
    /// Positions to grow, ascending; as many.
    pub grown: Vec<u32>,
    /// For each grown position, where it stands among the candidates (empty when there are none).
    pub sources: Vec<u32>,
}

/// SpIEL-AG: drops the `count` smallest deltas and grows the candidates of largest |Σ g| (`SftSelector.select_rigl`).
///
/// Candidates that are active and stay are out. A position on both lists is taken off both: it keeps its value and
/// state. When candidates run short, the drop list is cut and its largest deltas stay. Of equal keys the lower index
/// wins.
#[must_use]
pub fn reselect_accumulated_gradients(
    indices: &[u32],
    values: &[f32],
    candidates: Candidates,
    count: usize,
) -> Replacement {
    let dropped = largest(values.len(), count, |slot| smallest_key(values[slot]));
    // Both lists of slots and candidates are sorted, so membership is a walk along `indices`.
    let mut slot_of = Vec::with_capacity(candidates.indices.len());
    let mut walk = indices.iter().enumerate().peekable();
    for candidate in candidates.indices {
        while walk.next_if(|(_, index)| *index < candidate).is_some() {}
        slot_of.push(walk.next_if(|(_, index)| *index == candidate).map(|(slot, _)| slot as u32));
    }
    let is_dropped = |slot: u32| dropped.binary_search(&slot).is_ok();
    let open: Vec<u32> = (0..candidates.indices.len() as u32)
        .filter(|candidate| slot_of[*candidate as usize].is_none_or(is_dropped))
        .collect();
    let chosen = largest(open.len(), count.min(open.len()), |i| {
        magnitude_key(candidates.grads[open[i] as usize])
    });
    let mut staying = Vec::new();
    let mut sources = Vec::new();
    for candidate in chosen.into_iter().map(|i| open[i as usize]) {
        match slot_of[candidate as usize] {
            Some(slot) => staying.push(slot),
            None => sources.push(candidate),
        }
    }
    let leaving: Vec<u32> =
        dropped.into_iter().filter(|slot| staying.binary_search(slot).is_err()).collect();
    let cut = largest(leaving.len(), sources.len(), |i| smallest_key(values[leaving[i] as usize]));
    Replacement {
        dropped: cut.into_iter().map(|i| leaving[i as usize]).collect(),
        grown: sources.iter().map(|candidate| candidates.indices[*candidate as usize]).collect(),
        sources,
    }
}

/// How many of `count` deltas can be replaced in a matrix of `positions` weights: at most as many as are not active.
#[must_use]
pub fn replaceable(count: usize, deltas: usize, positions: usize) -> usize {
    count.min(deltas).min(positions - deltas)
}

/// SpIEL-MA: drops the `count` smallest deltas and grows the largest products of the two accumulators among the
/// positions that were not active (`SftSelector.select_sm3`), or fewer when those run short. `keys` holds
/// [`momentum_keys`].
#[must_use]
pub fn reselect_momentum_approximation(values: &[f32], keys: &[u32], count: usize) -> Replacement {
    let count = replaceable(count, values.len(), keys.len());
    Replacement {
        dropped: largest(values.len(), count, |slot| smallest_key(values[slot])),
        grown: largest(keys.len(), count, |position| keys[position]),
        sources: Vec::new(),
    }
}

/// Where the entries of a module's arrays come from after a reselection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The delta in this slot stays.
    Kept(u32),
    /// The replacement's grown position of this number is new.
    Grown(u32),
}

/// The origins of all slots, so that positions are sorted again.
#[must_use]
pub fn merge_order(indices: &[u32], replacement: &Replacement) -> Vec<Origin> {
    let mut dropped = replacement.dropped.iter().copied().peekable();
    let mut grown = replacement.grown.iter().copied().enumerate().peekable();
    let mut order = Vec::with_capacity(indices.len());
    for (slot, index) in indices.iter().enumerate() {
        while let Some((number, _)) = grown.next_if(|(_, position)| position < index) {
            order.push(Origin::Grown(number as u32));
        }
        if dropped.next_if_eq(&(slot as u32)).is_none() {
            order.push(Origin::Kept(slot as u32));
        }
    }
    order.extend(grown.map(|(number, _)| Origin::Grown(number as u32)));
    order
}

/// Puts an array into the order of [`merge_order`]; `seed` gives the entry of each grown position.
pub fn rearrange<T: Copy + Send + Sync>(
    order: &[Origin],
    entries: &mut [T],
    seed: impl Fn(usize) -> T + Sync + Send,
) {
    let old = entries.to_vec();
    chunks_mut(entries, ELEMENTS_PER_TASK, |task, entries| {
        for (entry, origin) in entries.iter_mut().zip(&order[task * ELEMENTS_PER_TASK..]) {
            *entry = match *origin {
                Origin::Kept(slot) => old[slot as usize],
                Origin::Grown(number) => seed(number as usize),
            };
        }
    });
}

/// The ranking of every position `[out, in]` by rows[i]·columns[j]; active positions rank last.
pub fn momentum_keys(indices: &[u32], rows: &[f32], columns: &[f32], keys: &mut [u32]) {
    let width = columns.len();
    chunks_mut(keys, width, |row, keys| {
        for (key, column) in keys.iter_mut().zip(columns) {
            // One is added so that an inactive product of zero still ranks above an active position.
            *key = magnitude_key(rows[row] * column) + 1;
        }
        let first = indices.partition_point(|index| (*index as usize) < row * width);
        for index in
            indices[first..].iter().take_while(|index| (**index as usize) < (row + 1) * width)
        {
            keys[*index as usize % width] = 0;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_on_both_lists_stays() {
        // Slots: position 10 (0.1), 20 (0.2), 30 (3.0). Both small ones are on the drop list.
        let candidates = Candidates { indices: &[10, 15, 30], grads: &[5.0, 4.0, 9.0] };
        let replacement =
            reselect_accumulated_gradients(&[10, 20, 30], &[0.1, 0.2, 3.0], candidates, 2);
        // 30 is active and stays; 10 comes straight back; 15 takes the slot of 20.
        assert_eq!(
            replacement,
            Replacement { dropped: vec![1], grown: vec![15], sources: vec![1] }
        );
    }

    #[test]
    fn the_smallest_are_dropped_when_candidates_run_short() {
        let candidates = Candidates { indices: &[5], grads: &[-1.0] };
        let replacement =
            reselect_accumulated_gradients(&[1, 2, 3], &[0.3, -0.1, 0.2], candidates, 3);
        assert_eq!(replacement, Replacement { dropped: vec![1], grown: vec![5], sources: vec![0] });
    }

    #[test]
    fn rearranged_arrays_are_sorted_and_seeded() {
        let mut indices = [10, 20, 30, 40];
        let replacement = Replacement { dropped: vec![1, 3], grown: vec![5, 35], sources: vec![] };
        let order = merge_order(&indices, &replacement);
        let mut values = [1.0, 2.0, 3.0, 4.0];
        rearrange(&order, &mut values, |number| -(number as f32) - 1.0);
        rearrange(&order, &mut indices, |number| replacement.grown[number]);
        assert_eq!(indices, [5, 10, 30, 35]);
        assert_eq!(values, [-1.0, 1.0, 3.0, -2.0]);
    }

    #[test]
    fn momentum_ties_go_to_the_lower_position_and_dropped_ones_stay_away() {
        let (rows, columns) = ([1.0, 1.0], [2.0, 2.0, 0.0]);
        let mut keys = vec![0; 6];
        momentum_keys(&[0, 5], &rows, &columns, &mut keys);
        let replacement = reselect_momentum_approximation(&[0.0, 1.0], &keys, 1);
        assert_eq!(replacement, Replacement { dropped: vec![0], grown: vec![1], sources: vec![] });
        // Even when every product is used up, no active position is grown.
        let all = reselect_momentum_approximation(&[0.0, 1.0], &keys, 2);
        assert_eq!(all.grown, [1, 3]);
    }

    #[test]
    fn no_more_is_replaced_than_there_are_inactive_positions() {
        let (rows, columns) = ([1.0, 2.0], [3.0, 1.0, 2.0]);
        let (indices, values) = ([0, 1, 3, 5], [0.4, 0.1, 0.3, 0.2]);
        let mut keys = vec![0; 6];
        momentum_keys(&indices, &rows, &columns, &mut keys);
        let momentum = reselect_momentum_approximation(&values, &keys, 4);
        assert_eq!((&momentum.dropped[..], &momentum.grown[..]), (&[1, 3][..], &[2, 4][..]));
        let candidates = Candidates { indices: &[0, 2, 3, 4], grads: &[1.0, 2.0, 3.0, 4.0] };
        let gradients = reselect_accumulated_gradients(&indices, &values, candidates, 4);
        assert_eq!((&gradients.dropped[..], &gradients.grown[..]), (&[1, 3][..], &[2, 4][..]));
        for replacement in [momentum, gradients] {
            let mut grown = indices;
            let order = merge_order(&indices, &replacement);
            rearrange(&order, &mut grown, |number| replacement.grown[number]);
            assert_eq!(grown, [0, 2, 3, 4]);
        }
    }
}
