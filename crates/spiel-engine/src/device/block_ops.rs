//! The operations of a forward and backward pass through the model.

use super::Memory;
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;
use spiel_kernels::ops::attention::{Heads, Span};
use spiel_kernels::ops::cross_entropy::Backward;
use spiel_kernels::ops::glu::Activation;
use spiel_kernels::ops::linear::LinearShape;
use spiel_kernels::ops::rms_norm::Norm;
use spiel_kernels::ops::rope::Direction;

/// A matrix as it is stored, and the deltas `(indices, values)` that are added to it.
pub(crate) struct Stored<'a, B> {
    pub(crate) data: &'a B,
    pub(crate) format: Format,
    pub(crate) deltas: Option<(&'a B, &'a B)>,
}

/// A dense matrix, of elements of one type. A buffer by itself is one of f32.
pub(crate) struct Dense<'a, B> {
    pub(crate) data: &'a B,
    pub(crate) element: Element,
    /// Whether products round both factors to bf16.
    pub(crate) bf16_factors: bool,
}

/// The weights of a product.
pub(crate) enum Factor<'a, B> {
    Dense(Dense<'a, B>),
    /// Only where [`BlockOps::multiplies_stored`].
    Stored(Stored<'a, B>),
}

impl<B> Factor<'_, B> {
    /// Whether the product rounds both factors to bf16.
    pub(crate) fn is_rounded(&self) -> bool {
        matches!(self, Self::Dense(Dense { bf16_factors: true, .. }))
    }
}

/// Views are copied as references are.
macro_rules! copied {
    ($($view:ident),+) => {
        $(
            impl<B> Clone for $view<'_, B> {
                fn clone(&self) -> Self {
                    *self
                }
            }

            impl<B> Copy for $view<'_, B> {}
        )+
    };
}
copied!(Dense, Factor, Gated, Stored);

impl<'a, B> From<Dense<'a, B>> for Factor<'a, B> {
    fn from(dense: Dense<'a, B>) -> Self {
        Self::Dense(dense)
    }
}

impl<'a, B> From<&'a B> for Factor<'a, B> {
    fn from(data: &'a B) -> Self {
        Self::Dense(data.into())
    }
}

impl<'a, B> From<&'a B> for Dense<'a, B> {
    fn from(data: &'a B) -> Self {
        Self { data, element: Element::F32, bf16_factors: false }
    }
}

/// q, k and v, or their gradients.
pub(crate) struct Qkv<T> {
    pub(crate) q: T,
    pub(crate) k: T,
    pub(crate) v: T,
}

/// What a gated unit multiplies, `[T, F]` each.
pub(crate) struct Gated<'a, B> {
    pub(crate) gate: &'a B,
    pub(crate) up: &'a B,
    /// What they are kept in: f32, or bf16 where [`BlockOps::round`] is.
    pub(crate) element: Element,
}

/// Operands of RMSNorm's backward pass.
pub(crate) struct NormBackward<'a, B> {
    pub(crate) x: &'a B,
    pub(crate) weight: &'a B,
    pub(crate) grad_y: &'a B,
}

/// What attention's backward pass needs of the forward pass.
pub(crate) struct AttentionPass<'a, B> {
    pub(crate) inputs: Qkv<&'a B>,
    pub(crate) out: &'a B,
    pub(crate) log_sums: &'a B,
    pub(crate) grad_out: &'a B,
}

/// What a forward and a backward pass are made of.
pub(crate) trait BlockOps: Memory {
    fn embedding(
        &self,
        tokens: &Self::Buffer,
        count: usize,
        table: &Self::Buffer,
        format: Format,
        width: usize,
        x: &mut Self::Buffer,
    );
    fn embedding_backward(
        &self,
        tokens: &Self::Buffer,
        count: usize,
        grad_x: &Self::Buffer,
        width: usize,
        grad_table: &mut Self::Buffer,
    );
    fn rms_norm(
        &self,
        x: &Self::Buffer,
        weight: &Self::Buffer,
        rows: usize,
        width: usize,
        norm: Norm,
        y: &mut Self::Buffer,
    );
    fn rms_norm_backward(
        &self,
        operands: NormBackward<Self::Buffer>,
        rows: usize,
        width: usize,
        norm: Norm,
        accumulate: bool,
        grad_x: &mut Self::Buffer,
        grad_weight: Option<&mut Self::Buffer>,
    );
    fn rope(
        &self,
        x: &mut Self::Buffer,
        rotations: &Self::Buffer,
        tokens: usize,
        heads: usize,
        head_dim: usize,
        direction: Direction,
    );
    fn attention(
        &self,
        inputs: Qkv<&Self::Buffer>,
        heads: Heads,
        spans: &[Span],
        out: &mut Self::Buffer,
        log_sums: &mut Self::Buffer,
    );
    /// Entries of the largest head that attention's backward pass takes.
    fn largest_trained_head(&self) -> usize {
        usize::MAX
    }
    fn attention_backward(
        &self,
        pass: AttentionPass<Self::Buffer>,
        heads: Heads,
        spans: &[Span],
        grads: Qkv<&mut Self::Buffer>,
    );
    /// out = act(gate) · up.
    fn glu(
        &self,
        activation: Activation,
        gated: Gated<Self::Buffer>,
        count: usize,
        out: &mut Self::Buffer,
    );
    fn glu_backward(
        &self,
        activation: Activation,
        gated: Gated<Self::Buffer>,
        grad: &Self::Buffer,
        count: usize,
        grad_gate: &mut Self::Buffer,
        grad_up: &mut Self::Buffer,
    );
    /// y is x rounded to bf16, two numbers a word. Only where [`Self::keeps_weights_in`] that.
    fn round(&self, _x: &Self::Buffer, _count: usize, _y: &mut Self::Buffer) {
        unreachable!("nothing is rounded to bf16 where no weights are");
    }
    /// y += x.
    fn add(&self, x: &Self::Buffer, count: usize, y: &mut Self::Buffer);
    /// x *= factor.
    fn scale(&self, factor: f32, count: usize, x: &mut Self::Buffer);
    /// Whether dense weights may be of this type, in [`Self::materialise`] and the products by them.
    fn keeps_weights_in(&self, element: Element) -> bool {
        element == Element::F32
    }
    /// The type of dense weights by which products are fastest, of those that lose little.
    fn fastest_element(&self) -> Element {
        Element::F32
    }
    /// Whether products by such weights come out right, which some hardware is not trusted in before it was tried.
    fn is_right_in(&self, _element: Element) -> bool {
        true
    }
    /// Whether products decode stored weights on their way where dense ones would be of this type.
    fn multiplies_stored(&self, _element: Element) -> bool {
        false
    }
    fn linear<'a>(
        &self,
        x: &Self::Buffer,
        weight: impl Into<Factor<'a, Self::Buffer>>,
        shape: LinearShape,
        y: &mut Self::Buffer,
    ) where
        Self::Buffer: 'a;
    /// The same for a few tokens, which pay for no dense matrix, and whether that was done.
    fn linear_packed(
        &self,
        x: &Self::Buffer,
        weight: &Stored<Self::Buffer>,
        shape: LinearShape,
        y: &mut Self::Buffer,
    ) -> bool;
    fn linear_backward_input<'a>(
        &self,
        grad_y: &Self::Buffer,
        weight: impl Into<Factor<'a, Self::Buffer>>,
        shape: LinearShape,
        accumulate: bool,
        grad_x: &mut Self::Buffer,
    ) where
        Self::Buffer: 'a;
    fn linear_backward_weight(
        &self,
        grad_y: &Self::Buffer,
        x: &Self::Buffer,
        shape: LinearShape,
        accumulate: bool,
        grad_weight: &mut Self::Buffer,
    );
    fn add_bias(&self, bias: &Self::Buffer, tokens: usize, width: usize, y: &mut Self::Buffer);
    fn add_bias_backward(
        &self,
        grad_y: &Self::Buffer,
        tokens: usize,
        width: usize,
        grad_bias: &mut Self::Buffer,
    );
    fn gather_rows(
        &self,
        x: &Self::Buffer,
        rows: &Self::Buffer,
        first: usize,
        count: usize,
        width: usize,
        out: &mut Self::Buffer,
    );
    fn scatter_rows(
        &self,
        x: &Self::Buffer,
        rows: &Self::Buffer,
        first: usize,
        count: usize,
        width: usize,
        out: &mut Self::Buffer,
    );
    /// Bounds the first `count` elements smoothly: cap · tanh(x / cap).
    fn soft_cap(&self, cap: f32, count: usize, x: &mut Self::Buffer);
    /// Losses of rows `first..first + count` of the targets; going backward the logits become the gradient.
    fn cross_entropy(
        &self,
        logits: &mut Self::Buffer,
        targets: &Self::Buffer,
        first: usize,
        count: usize,
        vocab: usize,
        backward: Option<Backward>,
        losses: &mut Self::Buffer,
    );
    /// Decodes `elements` weights, adds the deltas, and rounds what is no `element` once.
    fn materialise(
        &self,
        stored: &Stored<Self::Buffer>,
        elements: usize,
        element: Element,
        weights: &mut Self::Buffer,
    );
}
