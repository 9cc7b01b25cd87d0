//! Dense weights in f16, against the CPU's operations on weights that are rounded to halves and kept in f32.

use super::products::{SHAPES, SUMS, tilings};
use super::weights::stored;
use super::{Bound, Subject, normal, words_of};
use crate::device::{BlockOps, CpuDevice, Dense, GpuDevice, Stored};
use half::f16;
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;
use spiel_kernels::ops::linear::{LinearShape, Tiling};
use spiel_kernels::random::positions;

cases! {
    materialise_in_halves,
    halves_of_any_number,
    products_by_halves,
    large_tiles_of_halves,
}

/// Elements of the largest matrix, which short bindings cut in any format.
const MOST_ELEMENTS: usize = 400_000;

/// A device that works with dense weights which are halves.
trait Halves: Subject {
    /// What it keeps them in.
    const ELEMENT: Element;

    /// A matrix of the halves nearest to these numbers.
    fn halves(&self, values: &[f32]) -> Self::Buffer;

    /// The bits of the halves that a stored matrix is materialised as.
    async fn materialised(&self, stored: &Stored<'_, Self::Buffer>, elements: usize) -> Vec<u32>;
}

impl Halves for CpuDevice {
    const ELEMENT: Element = Element::F32;

    fn halves(&self, values: &[f32]) -> Self::Buffer {
        let rounded: Vec<f32> = values.iter().map(|value| nearest(*value).to_f32()).collect();
        self.holding(&words_of(&rounded))
    }

    async fn materialised(&self, stored: &Stored<'_, Self::Buffer>, elements: usize) -> Vec<u32> {
        let mut weights = self.output(elements);
        self.materialise(stored, elements, Self::ELEMENT, &mut weights);
        let words = self.taken(&weights, elements).await;
        words.into_iter().map(|word| bits(nearest(f32::from_bits(word)))).collect()
    }
}

impl Halves for GpuDevice {
    const ELEMENT: Element = Element::F16;

    fn halves(&self, values: &[f32]) -> Self::Buffer {
        let pairs = values.chunks(2);
        let half = |value: Option<&f32>| value.map_or(0, |value| bits(nearest(*value)));
        let words: Vec<u32> =
            pairs.map(|pair| half(pair.first()) | (half(pair.get(1)) << 16)).collect();
        self.holding(&words)
    }

    async fn materialised(&self, stored: &Stored<'_, Self::Buffer>, elements: usize) -> Vec<u32> {
        let words = elements.div_ceil(2);
        let mut weights = self.output(words);
        self.materialise(stored, elements, Self::ELEMENT, &mut weights);
        let words = self.taken(&weights, words).await;
        let halves = words.into_iter().flat_map(|word| [word as u16, (word >> 16) as u16]);
        halves.take(elements).map(|half| bits(f16::from_bits(half))).collect()
    }
}

/// The nearest half, ties to even; the largest for what is beyond it.
fn nearest(value: f32) -> f16 {
    let largest = f16::MAX.to_f32();
    f16::from_f32(if value.is_finite() { value.clamp(-largest, largest) } else { value })
}

/// A half's bits; all that are not numbers are one.
fn bits(half: f16) -> u32 {
    u32::from(if half.is_nan() { f16::NAN } else { half }.to_bits())
}

/// GPUs that have halves.
fn able(gpus: &[GpuDevice]) -> impl Iterator<Item = &GpuDevice> {
    gpus.iter().filter(|gpu| gpu.keeps_weights_in(Element::F16))
}

/// The same with every tiling.
fn able_tilings(gpus: &[GpuDevice]) -> impl Iterator<Item = (&GpuDevice, Tiling)> {
    tilings(gpus).filter(|(gpu, _)| gpu.keeps_weights_in(Element::F16))
}

async fn materialise_in_halves(gpus: &[GpuDevice]) {
    for gpu in able(gpus) {
        for &format in Format::ALL {
            let block = format.block_elements();
            for (rows, blocks) in [(1, 1), (3, 5), (131, 7), (67, 21), (257, 259)] {
                let (width, elements) = (blocks * block, rows * blocks * block);
                if elements > MOST_ELEMENTS {
                    continue;
                }
                // All deltas of a matrix are bound at once.
                for count in [None, Some(0), Some(1), Some((elements / 3).min(15_000))] {
                    let case = format!("materialise {format:?} {rows}x{width} {count:?} in halves");
                    conform!(gpu, case, [Bound::Exact], |on| {
                        let data = on.holding(&stored(format, elements));
                        let deltas = count.map(|count| {
                            let indices = positions(3, 0, count, elements as u32);
                            (on.holding(&indices), on.holding(&normal(4, count)))
                        });
                        let deltas = deltas.as_ref().map(|(indices, values)| (indices, values));
                        vec![
                            on.materialised(&Stored { data: &data, format, deltas }, elements)
                                .await,
                        ]
                    });
                }
            }
        }
    }
}

async fn halves_of_any_number(gpus: &[GpuDevice]) {
    // Ties, the ends of the range and what is beyond them, and numbers that have no normal half.
    let positive = [
        0.0,
        1.0 + 0.5 / 1024.0,
        1.0 + 1.5 / 1024.0,
        1.0 + 0.500_001 / 1024.0,
        65_504.0,
        65_519.9,
        65_520.0,
        1e9,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        6.103_515_6e-5,
        6.1e-5,
        3e-5,
        6e-8,
        2.9e-8,
        1e-20,
    ];
    let numbers: Vec<f32> = positive.into_iter().flat_map(|number| [number, -number]).collect();
    for gpu in able(gpus) {
        // Every number as a weight, then every number as a delta.
        for given in [0, numbers.len()] {
            conform!(gpu, format!("halves of any number, {given} deltas"), [Bound::Exact], |on| {
                let weights = if given == 0 { numbers.clone() } else { vec![0.0; numbers.len()] };
                let data = on.holding(&words_of(&weights));
                let indices: Vec<u32> = (0..given as u32).collect();
                let (indices, values) =
                    (on.holding(&indices), on.holding(&words_of(&numbers[..given])));
                let deltas = Some((&indices, &values));
                let stored = Stored { data: &data, format: Format::F32, deltas };
                vec![on.materialised(&stored, numbers.len()).await]
            });
        }
    }
}

async fn products_by_halves(gpus: &[GpuDevice]) {
    for (gpu, tiling) in able_tilings(gpus) {
        gpu.tile_by(tiling);
        for [tokens, inputs, outputs] in SHAPES {
            let case = format!("products by halves {tokens}x{inputs}x{outputs} {tiling:?}");
            let shape = LinearShape { tokens, inputs, outputs };
            conform!(gpu, case, [SUMS; 3], |on| {
                let x = on.holding(&normal(1, tokens * inputs));
                let grad_y = on.holding(&normal(3, tokens * outputs));
                let data = on.halves(bytemuck::cast_slice(&normal(2, outputs * inputs)));
                let weight = Dense { element: element_of(on), ..Dense::from(&data) };
                let mut y = on.output(tokens * outputs);
                on.linear(&x, weight, shape, &mut y);
                let mut grad_x = on.output(tokens * inputs);
                on.linear_backward_input(&grad_y, weight, shape, false, &mut grad_x);
                let replaced = on.taken(&grad_x, tokens * inputs).await;
                on.linear_backward_input(&grad_y, weight, shape, true, &mut grad_x);
                let added = on.taken(&grad_x, tokens * inputs).await;
                vec![on.taken(&y, tokens * outputs).await, replaced, added]
            });
        }
    }
}

async fn large_tiles_of_halves(gpus: &[GpuDevice]) {
    for (gpu, tiling) in able_tilings(gpus).take(2) {
        gpu.tile_by(tiling);
        let [tokens, inputs, outputs] = [1411, 37, 1500];
        conform!(gpu, format!("large tiles of halves {tiling:?}"), [SUMS], |on| {
            let x = on.holding(&normal(1, tokens * inputs));
            let data = on.halves(bytemuck::cast_slice(&normal(2, outputs * inputs)));
            let weight = Dense { element: element_of(on), ..Dense::from(&data) };
            let mut y = on.output(tokens * outputs);
            on.linear(&x, weight, LinearShape { tokens, inputs, outputs }, &mut y);
            vec![on.taken(&y, tokens * outputs).await]
        });
    }
}

fn element_of<D: Halves>(_: &D) -> Element {
    D::ELEMENT
}
