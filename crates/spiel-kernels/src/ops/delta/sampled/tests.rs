use super::*;
use crate::ops::linear::{LinearShape, linear_backward_weight};
use crate::random::{positions, uniform};
use rayon::ThreadPoolBuilder;

/// Layers with one input.
struct Case {
    tokens: usize,
    inputs: usize,
    /// Outputs of each layer, and the slots in its lists.
    layers: &'static [(usize, &'static [usize])],
}

const CASES: [Case; 7] = [
    Case { tokens: 1, inputs: 3, layers: &[(2, &[4])] },
    Case { tokens: 1, inputs: 300, layers: &[(20, &[4]), (1, &[300])] },
    Case { tokens: 130, inputs: 70, layers: &[(90, &[500, 300]), (90, &[5000]), (9, &[])] },
    Case { tokens: 300, inputs: 70, layers: &[(90, &[6300, 3]), (600, &[3000, 2999])] },
    Case { tokens: 200, inputs: 3000, layers: &[(5, &[999])] },
    Case { tokens: 700, inputs: 40, layers: &[(500, &[3, 0]), (500, &[0])] },
    Case { tokens: 0, inputs: 40, layers: &[(50, &[30]), (50, &[2000])] },
];

impl Case {
    fn x(&self) -> Vec<f32> {
        uniform(1, self.tokens * self.inputs)
    }

    fn grad_y(&self, layer: usize) -> Vec<f32> {
        uniform(2 + layer as u32, self.tokens * self.layers[layer].0)
    }

    fn indices(&self) -> Vec<Vec<Vec<u32>>> {
        let of_layer = |(outputs, lists): &(usize, &[usize])| {
            let total = (self.inputs * outputs) as u32;
            let list = |(number, count)| positions(5, number as u32, count, total);
            lists.iter().copied().enumerate().map(list).collect()
        };
        self.layers.iter().map(of_layer).collect()
    }

    /// What is added to ones at all slots.
    fn gradients(&self) -> Vec<Vec<Vec<f32>>> {
        let (x, indices) = (self.x(), self.indices());
        let grad_ys: Vec<_> = (0..self.layers.len()).map(|layer| self.grad_y(layer)).collect();
        let mut grads: Vec<Vec<Vec<f32>>> = (indices.iter())
            .map(|lists| lists.iter().map(|indices| vec![1.0; indices.len()]).collect())
            .collect();
        let mut layers = Vec::new();
        for (layer, grads) in grads.iter_mut().enumerate() {
            let lists = indices[layer].iter().zip(grads);
            layers.push(SampledLayer {
                grad_y: &grad_ys[layer],
                outputs: self.layers[layer].0,
                lists: lists.map(|(indices, grads)| Slots { indices, grads }).collect(),
            });
        }
        let shape = [self.tokens, self.inputs];
        let sizes = layers.iter().map(|layer| (layer.outputs, layer.slots()));
        let mut scratch =
            sampling_words(threads(), shape, sizes).map(|words| vec![f32::NAN; words]);
        let [x_t, grad_y_t, sums] = &mut scratch;
        sampled_gradients(&x, shape, layers, SamplingScratch { x_t, grad_y_t, sums });
        grads
    }
}

#[test]
fn sampled_gradients_are_the_dense_ones_at_the_indices() {
    for case in CASES {
        let Case { tokens, inputs, layers } = case;
        let indices = case.indices();
        let dense: Vec<_> = (layers.iter().enumerate())
            .map(|(layer, (outputs, _))| {
                let mut dense = vec![0.0; inputs * outputs];
                let grad_y = case.grad_y(layer);
                let shape = LinearShape { tokens, inputs, outputs: *outputs };
                linear_backward_weight(&grad_y, &case.x(), shape, false, &mut dense);
                dense
            })
            .collect();
        for (layer, lists) in case.gradients().iter().enumerate() {
            for (grad, index) in lists.concat().iter().zip(indices[layer].concat()) {
                let expected = dense[layer][index as usize];
                let what = format!("{tokens} {inputs} {:?}", layers[layer]);
                assert!((grad - 1.0 - expected).abs() < 3e-5, "{what}: {grad}, {expected}");
            }
        }
    }
}

#[test]
fn no_bit_depends_on_the_number_of_threads() {
    for case in CASES {
        let gradients = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| case.gradients())
        };
        let alone = gradients(1);
        for threads in [2, 3, 8] {
            assert!(gradients(threads) == alone, "{threads} threads");
        }
    }
}

#[test]
fn memory_for_tokens_is_enough_for_fewer() {
    for tokens in 0..=2 * PARTS * BLOCK {
        let [.., sums] = sampling_words(1, [tokens, 70], [(90, 1)].into_iter());
        assert!((0..=tokens).all(|fewer| parts(fewer).count() <= sums), "{tokens}");
    }
}
