//! The CPU: operations run at once, on a pool of threads where the build has them.

use super::{
    AdamWState, AttentionPass, CandidateState, Device, Growth, LinearShape, NormBackward, Qkv,
    Sm3State,
};
use crate::error::{EngineError, Result};
use spiel_kernels::formats::{Format, decode_threaded};
use spiel_kernels::ops::adamw::{self, AdamW};
use spiel_kernels::ops::attention::{self, AttentionGrads, AttentionInputs, Heads, Span};
use spiel_kernels::ops::reselect::{self, Candidates};
use spiel_kernels::ops::rope::{self, Direction};
use spiel_kernels::ops::sm3::{self, Sm3};
use spiel_kernels::ops::{
    cross_entropy, delta, embedding, linear, rms_norm, rows, swiglu, top_k, transpose,
};
use spiel_kernels::parallel::{ELEMENTS_PER_TASK as TASK, chunks_mut, chunks_mut2, map};

/// 32-bit words, read as floats or as integers.
pub(crate) struct Words(Vec<u32>);

impl Words {
    fn floats(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }

    fn floats_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// The CPU device.
pub(crate) struct CpuDevice {
    #[cfg(feature = "native")]
    pool: rayon::ThreadPool,
}

impl CpuDevice {
    /// Opens the CPU with `threads` threads, or one per core.
    ///
    /// # Errors
    /// When the threads cannot be started.
    #[cfg(feature = "native")]
    pub(crate) fn open(threads: Option<u32>) -> Result<Self> {
        let threads = threads.map_or(0, |threads| threads as usize);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("spiel-{index}"))
            .build()
            .map_err(|error| {
                EngineError::DeviceUnavailable(format!("Cannot start CPU threads: {error}"))
            })?;
        Ok(Self { pool })
    }

    /// Opens the CPU; this build computes on the calling thread whatever `threads` asks.
    #[cfg(not(feature = "native"))]
    #[expect(clippy::unnecessary_wraps, reason = "one signature for all builds")]
    pub(crate) fn open(_threads: Option<u32>) -> Result<Self> {
        Ok(Self {})
    }

    #[cfg(feature = "native")]
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    #[cfg(not(feature = "native"))]
    #[expect(clippy::unused_self, reason = "one signature for all builds")]
    fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

impl Device for CpuDevice {
    type Buffer = Words;

    fn adapter(&self) -> String {
        let features = if cfg!(target_arch = "wasm32") {
            "WebAssembly SIMD"
        } else {
            std::env::consts::ARCH
        };
        format!("CPU ({features})")
    }

    #[cfg(feature = "native")]
    fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    #[cfg(not(feature = "native"))]
    fn threads(&self) -> usize {
        1
    }

    fn allocate(&self, bytes: usize) -> Result<Words> {
        let words = bytes.div_ceil(4);
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(words).map_err(|_| {
            EngineError::OutOfMemory(format!("Cannot allocate {bytes} bytes of memory"))
        })?;
        buffer.resize(words, 0);
        Ok(Words(buffer))
    }

    fn write(&self, buffer: &mut Words, offset_bytes: usize, bytes: &[u8]) {
        bytemuck::cast_slice_mut::<u32, u8>(&mut buffer.0)[offset_bytes..][..bytes.len()]
            .copy_from_slice(bytes);
    }

    async fn read(&self, buffer: &Words, offset_bytes: usize, bytes: usize) -> Result<Vec<u8>> {
        Ok(buffer.bytes()[offset_bytes..][..bytes].to_vec())
    }

    fn copy(&self, from: &Words, count: usize, to: &mut Words, at: usize) {
        to.0[at..at + count].copy_from_slice(&from.0[..count]);
    }

    fn clear(&self, buffer: &mut Words) {
        buffer.0.fill(0);
    }

    fn embedding(
        &self,
        tokens: &Words,
        count: usize,
        table: &Words,
        format: Format,
        width: usize,
        x: &mut Words,
    ) {
        self.run(|| {
            embedding::embedding(
                &tokens.0[..count],
                table.bytes(),
                format,
                width,
                x.floats_mut(),
            )
        });
    }

    fn embedding_backward(
        &self,
        tokens: &Words,
        count: usize,
        grad_x: &Words,
        width: usize,
        grad_table: &mut Words,
    ) {
        embedding::embedding_backward(
            &tokens.0[..count],
            grad_x.floats(),
            width,
            grad_table.floats_mut(),
        );
    }

    fn rms_norm(
        &self,
        x: &Words,
        weight: &Words,
        rows: usize,
        width: usize,
        epsilon: f32,
        y: &mut Words,
    ) {
        let y = &mut y.floats_mut()[..rows * width];
        self.run(|| rms_norm::rms_norm(x.floats(), weight.floats(), epsilon, y));
    }

    fn rms_norm_backward(
        &self,
        norm: NormBackward<Words>,
        rows: usize,
        width: usize,
        epsilon: f32,
        accumulate: bool,
        grad_x: &mut Words,
        grad_weight: Option<&mut Words>,
    ) {
        let count = rows * width;
        let (x, grad_y) = (&norm.x.floats()[..count], &norm.grad_y.floats()[..count]);
        let grad_x = &mut grad_x.floats_mut()[..count];
        let grad_weight = grad_weight.map(Words::floats_mut);
        self.run(|| {
            rms_norm::rms_norm_backward(
                x,
                norm.weight.floats(),
                epsilon,
                grad_y,
                accumulate,
                grad_x,
                grad_weight,
            );
        });
    }

    fn rope(
        &self,
        x: &mut Words,
        rotations: &Words,
        tokens: usize,
        heads: usize,
        head_dim: usize,
        direction: Direction,
    ) {
        let x = &mut x.floats_mut()[..tokens * heads * head_dim];
        self.run(|| rope::rope(x, rotations.floats(), heads, head_dim, direction));
    }

    fn attention(
        &self,
        inputs: Qkv<&Words>,
        heads: Heads,
        spans: &[Span],
        out: &mut Words,
        log_sums: &mut Words,
    ) {
        let inputs = AttentionInputs {
            q: inputs.q.floats(),
            k: inputs.k.floats(),
            v: inputs.v.floats(),
        };
        self.run(|| {
            attention::attention(
                inputs,
                heads,
                spans,
                out.floats_mut(),
                log_sums.floats_mut(),
            )
        });
    }

    fn attention_backward(
        &self,
        pass: AttentionPass<Words>,
        heads: Heads,
        spans: &[Span],
        grads: Qkv<&mut Words>,
    ) {
        let inputs = AttentionInputs {
            q: pass.inputs.q.floats(),
            k: pass.inputs.k.floats(),
            v: pass.inputs.v.floats(),
        };
        let grads = AttentionGrads {
            q: grads.q.floats_mut(),
            k: grads.k.floats_mut(),
            v: grads.v.floats_mut(),
        };
        self.run(|| {
            attention::attention_backward(
                inputs,
                heads,
                spans,
                pass.out.floats(),
                pass.log_sums.floats(),
                pass.grad_out.floats(),
                grads,
            );
        });
    }

    fn swiglu(&self, gate: &Words, up: &Words, count: usize, activation: &mut Words) {
        let activation = &mut activation.floats_mut()[..count];
        self.run(|| swiglu::swiglu(gate.floats(), up.floats(), activation));
    }

    fn swiglu_backward(
        &self,
        gate: &Words,
        up: &Words,
        grad: &Words,
        count: usize,
        grad_gate: &mut Words,
        grad_up: &mut Words,
    ) {
        let (grad_gate, grad_up) = (
            &mut grad_gate.floats_mut()[..count],
            &mut grad_up.floats_mut()[..count],
        );
        self.run(|| {
            swiglu::swiglu_backward(
                gate.floats(),
                up.floats(),
                grad.floats(),
                grad_gate,
                grad_up,
            )
        });
    }

    fn add(&self, x: &Words, count: usize, y: &mut Words) {
        let (x, y) = (x.floats(), &mut y.floats_mut()[..count]);
        self.run(|| {
            chunks_mut(y, TASK, |task, y| {
                for (y, x) in y.iter_mut().zip(&x[task * TASK..]) {
                    *y += x;
                }
            });
        });
    }

    fn linear(&self, x: &Words, weight: &Words, shape: LinearShape, y: &mut Words) {
        let LinearShape {
            tokens,
            inputs,
            outputs,
        } = shape;
        self.run(|| {
            linear::linear(
                x.floats(),
                weight.floats(),
                tokens,
                inputs,
                outputs,
                y.floats_mut(),
            )
        });
    }

    fn linear_backward_input(
        &self,
        grad_y: &Words,
        weight: &Words,
        shape: LinearShape,
        accumulate: bool,
        grad_x: &mut Words,
    ) {
        let LinearShape {
            tokens,
            inputs,
            outputs,
        } = shape;
        let (grad_y, weight) = (grad_y.floats(), weight.floats());
        self.run(|| {
            linear::linear_backward_input(
                grad_y,
                weight,
                tokens,
                inputs,
                outputs,
                accumulate,
                grad_x.floats_mut(),
            );
        });
    }

    fn linear_backward_weight(
        &self,
        grad_y: &Words,
        x: &Words,
        shape: LinearShape,
        accumulate: bool,
        grad_weight: &mut Words,
    ) {
        let LinearShape {
            tokens,
            inputs,
            outputs,
        } = shape;
        let (grad_y, x, grad_weight) = (grad_y.floats(), x.floats(), grad_weight.floats_mut());
        self.run(|| {
            linear::linear_backward_weight(
                grad_y,
                x,
                tokens,
                inputs,
                outputs,
                accumulate,
                grad_weight,
            )
        });
    }

    fn add_bias(&self, bias: &Words, tokens: usize, width: usize, y: &mut Words) {
        let y = &mut y.floats_mut()[..tokens * width];
        self.run(|| linear::add_bias(bias.floats(), y));
    }

    fn add_bias_backward(
        &self,
        grad_y: &Words,
        tokens: usize,
        width: usize,
        grad_bias: &mut Words,
    ) {
        linear::add_bias_backward(&grad_y.floats()[..tokens * width], grad_bias.floats_mut());
    }

    fn transpose(&self, x: &Words, rows: usize, columns: usize, out: &mut Words) {
        self.run(|| transpose::transpose(x.floats(), rows, columns, out.floats_mut()));
    }

    fn gather_rows(
        &self,
        x: &Words,
        rows: &Words,
        first: usize,
        count: usize,
        width: usize,
        out: &mut Words,
    ) {
        let rows = &rows.0[first..first + count];
        self.run(|| rows::gather_rows(x.floats(), rows, width, out.floats_mut()));
    }

    fn scatter_rows(
        &self,
        x: &Words,
        rows: &Words,
        first: usize,
        count: usize,
        width: usize,
        out: &mut Words,
    ) {
        rows::scatter_rows(
            x.floats(),
            &rows.0[first..first + count],
            width,
            out.floats_mut(),
        );
    }

    fn cross_entropy(
        &self,
        logits: &mut Words,
        targets: &Words,
        first: usize,
        count: usize,
        vocab: usize,
        backward: Option<f32>,
        losses: &mut Words,
    ) {
        let (targets, losses) = (
            &targets.0[first..first + count],
            &mut losses.floats_mut()[first..first + count],
        );
        let logits = &mut logits.floats_mut()[..count * vocab];
        self.run(|| match backward {
            None => cross_entropy::cross_entropy(logits, targets, losses),
            Some(scale) => cross_entropy::cross_entropy_backward(logits, targets, scale, losses),
        });
    }

    fn materialise(
        &self,
        stored: &Words,
        format: Format,
        elements: usize,
        deltas: Option<(&Words, &Words, usize)>,
        weights: &mut Words,
    ) {
        let weights = &mut weights.floats_mut()[..elements];
        self.run(|| {
            decode_threaded(format, stored.bytes(), weights);
            if let Some((indices, values, width)) = deltas {
                delta::add_deltas(&indices.0, values.floats(), width, weights);
            }
        });
    }

    fn gather(&self, x: &Words, indices: &Words, out: &mut Words) {
        delta::gather(x.floats(), &indices.0, out.floats_mut());
    }

    fn apply_in_place(&self, indices: &Words, base: &Words, values: &Words, weights: &mut Words) {
        delta::apply_in_place(
            &indices.0,
            base.floats(),
            values.floats(),
            weights.floats_mut(),
        );
    }

    fn restore(&self, indices: &Words, base: &Words, weights: &mut Words) {
        delta::restore(&indices.0, base.floats(), weights.floats_mut());
    }

    fn sampled_gradient(
        &self,
        indices: &Words,
        x_t: &Words,
        grad_y_t: &Words,
        shape: LinearShape,
        grads: &mut Words,
    ) {
        let (x_t, grad_y_t, grads) = (x_t.floats(), grad_y_t.floats(), grads.floats_mut());
        self.run(|| {
            delta::sampled_gradient(&indices.0, x_t, grad_y_t, shape.tokens, shape.inputs, grads)
        });
    }

    fn accumulate_candidates(
        &self,
        x_t: &Words,
        grad_y_t: &Words,
        shape: LinearShape,
        candidates: &mut CandidateState<Words>,
        scratch: &mut Words,
    ) {
        let count = candidates.indices.0.len();
        let (grads, grads_sq) = (
            candidates.grads.floats_mut(),
            candidates.grads_sq.floats_mut(),
        );
        let sample = &mut scratch.floats_mut()[..count];
        let indices = &candidates.indices.0;
        self.run(|| {
            sample.fill(0.0);
            delta::sampled_gradient(
                indices,
                x_t.floats(),
                grad_y_t.floats(),
                shape.tokens,
                shape.inputs,
                sample,
            );
            chunks_mut2((grads, TASK), (grads_sq, TASK), |task, grads, grads_sq| {
                let sample = &sample[task * TASK..];
                for i in 0..grads.len() {
                    grads[i] += sample[i];
                    grads_sq[i] += sample[i] * sample[i];
                }
            });
        });
    }

    fn choose_candidates(
        &self,
        gradient: &Words,
        elements: usize,
        candidates: &mut CandidateState<Words>,
    ) {
        let gradient = &gradient.floats()[..elements];
        let count = candidates.indices.0.len();
        candidates.indices.0 = self.run(|| {
            top_k::largest(elements, count, |index| {
                top_k::magnitude_key(gradient[index])
            })
        });
        delta::gather(
            gradient,
            &candidates.indices.0,
            candidates.grads.floats_mut(),
        );
        for (square, grad) in candidates
            .grads_sq
            .floats_mut()
            .iter_mut()
            .zip(candidates.grads.floats())
        {
            *square = grad * grad;
        }
    }

    async fn reselect(
        &self,
        indices: &mut Words,
        values: &mut Words,
        growth: Growth<'_, Words>,
        count: usize,
    ) -> Result<usize> {
        let (replacement, order) = match growth {
            Growth::AccumulatedGradients {
                candidates,
                state,
                seed,
            } => {
                let (grads, grads_sq) = (candidates.grads.floats(), candidates.grads_sq.floats());
                let found = Candidates {
                    indices: &candidates.indices.0,
                    grads,
                };
                let replacement = self.run(|| {
                    reselect::reselect_accumulated_gradients(
                        &indices.0,
                        values.floats(),
                        found,
                        count,
                    )
                });
                let order = reselect::merge_order(&indices.0, &replacement);
                let source = |number: usize| replacement.sources[number] as usize;
                reselect::rearrange(&order, state.ages.floats_mut(), |_| seed.age);
                reselect::rearrange(&order, state.exp_avg.floats_mut(), |n| {
                    seed.exp_avg(grads[source(n)])
                });
                reselect::rearrange(&order, state.exp_avg_sq.floats_mut(), |n| {
                    seed.exp_avg_sq(grads_sq[source(n)])
                });
                (replacement, order)
            }
            Growth::MomentumApproximation {
                state,
                shape,
                scratch,
            } => {
                let keys = &mut scratch.0[..shape.inputs * shape.outputs];
                let replacement = self.run(|| {
                    reselect::momentum_keys(
                        &indices.0,
                        state.rows.floats(),
                        state.columns.floats(),
                        keys,
                    );
                    reselect::reselect_momentum_approximation(values.floats(), keys, count)
                });
                let order = reselect::merge_order(&indices.0, &replacement);
                (replacement, order)
            }
        };
        reselect::rearrange(&order, values.floats_mut(), |_| 0.0);
        reselect::rearrange(&order, &mut indices.0, |number| replacement.grown[number]);
        Ok(replacement.grown.len())
    }

    fn adamw(
        &self,
        update: &AdamW,
        step: u32,
        values: &mut Words,
        grads: &Words,
        exp_avg: &mut Words,
        exp_avg_sq: &mut Words,
    ) {
        let (values, grads) = (values.floats_mut(), grads.floats());
        let (exp_avg, exp_avg_sq) = (exp_avg.floats_mut(), exp_avg_sq.floats_mut());
        self.run(|| adamw::adamw(update, step, values, grads, exp_avg, exp_avg_sq));
    }

    fn adamw_deltas(
        &self,
        update: &AdamW,
        values: &mut Words,
        grads: &Words,
        state: &mut AdamWState<Words>,
    ) {
        let (values, grads, ages) = (values.floats_mut(), grads.floats(), state.ages.floats_mut());
        let (exp_avg, exp_avg_sq) = (state.exp_avg.floats_mut(), state.exp_avg_sq.floats_mut());
        self.run(|| adamw::adamw_deltas(update, values, grads, ages, exp_avg, exp_avg_sq));
    }

    fn sm3(
        &self,
        update: &Sm3,
        indices: &Words,
        values: &mut Words,
        grads: &Words,
        state: &mut Sm3State<Words>,
        scratch: &mut Words,
    ) {
        let estimates = &mut scratch.floats_mut()[..indices.0.len()];
        let (values, grads) = (values.floats_mut(), grads.floats());
        let (rows, columns) = (state.rows.floats_mut(), state.columns.floats_mut());
        self.run(|| sm3::sm3(update, &indices.0, values, grads, rows, columns, estimates));
    }

    async fn sum_of_squares(&self, buffers: &[&Words]) -> Result<f64> {
        let mut total = 0.0;
        for buffer in buffers {
            let x = buffer.floats();
            let parts = self.run(|| {
                map(x.len().div_ceil(TASK), |task| {
                    let chunk = &x[task * TASK..((task + 1) * TASK).min(x.len())];
                    chunk
                        .iter()
                        .map(|x| f64::from(*x) * f64::from(*x))
                        .sum::<f64>()
                })
            });
            total += parts.iter().sum::<f64>();
        }
        Ok(total)
    }
}
