//! The words that requests and replies share: devices, formats, state fields, choices.

use serde::{Deserialize, Serialize};
use spiel_kernels::element::Element;
use spiel_kernels::formats::Format;

/// A device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum DeviceChoice {
    /// The best that this build and machine have.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU.
    Gpu,
}

macro_rules! weight_formats {
    ($($what:literal, $format:ident, $file:ident;)+) => {
        /// A way weights are stored, named as in GGUF.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
        #[cfg_attr(feature = "gen", derive(ts_rs::TS))]
        #[serde(rename_all = "lowercase")]
        pub enum WeightFormat {
            $(#[doc = $what] $format,)+
        }

        impl From<WeightFormat> for Format {
            fn from(format: WeightFormat) -> Self {
                match format {
                    $(WeightFormat::$format => Self::$format,)+
                }
            }
        }

        impl From<Format> for WeightFormat {
            fn from(format: Format) -> Self {
                match format {
                    $(Format::$format => Self::$format,)+
                }
            }
        }
    };
}
spiel_kernels::formats!(weight_formats);

/// An array that belongs to a module's deltas or to a fully trained tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum StateField {
    /// `u32 [k]`: sorted flat row-major positions.
    Indices,
    /// `f32 [k]`: the deltas.
    Values,
    /// `f32`: gradients of what is trained, in its shape.
    Grads,
    /// `f32 [k]`: AdamW's per-delta age (deltas only).
    Ages,
    /// `f32`: AdamW's first moment.
    ExpAvg,
    /// `f32`: AdamW's second moment.
    ExpAvgSq,
    /// `f32 [out]`: SM3's row accumulator.
    RowAccumulator,
    /// `f32 [in]`: SM3's column accumulator.
    ColumnAccumulator,
    /// `u32 [k]`: sorted candidate positions of the open window.
    CandidateIndices,
    /// `f32 [k]`: gradients summed over the window.
    CandidateGrads,
    /// `f32 [k]`: squared gradients summed over the window.
    CandidateGradsSq,
}

/// How new positions are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum GrowthCriterion {
    /// SpIEL-AG: by the gradient accumulated at the window's candidates.
    AccumulatedGradients,
    /// SpIEL-MA: by the product of SM3's row and column accumulators.
    MomentumApproximation,
}

/// The optimiser of what is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Optimizer {
    /// AdamW; on deltas with an age of their own each.
    Adamw,
    /// SM3 with one row and one column accumulator (deltas only).
    Sm3,
}

/// What gets gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Trainable {
    /// Nothing: evaluation and generation only.
    Nothing,
    /// The deltas.
    Deltas,
    /// Every weight; all weights must be f32.
    Weights,
}

/// What products by weights round to. Everything else is f32: sums, activations and gradients as they are kept, deltas,
/// optimiser state, and the products that make gradients in weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// On a GPU, decoded weights are kept in IEEE half floats, rounded to nearest: one with its delta has 11 bits, at most
    /// 65504. Matrices that are stored in f32 stay so.
    F16,
    /// On a CPU, both factors of a product, weights with their deltas among them, are rounded to the nearest number of
    /// 8 bits and the range of f32.
    Bf16,
}

impl From<Precision> for Element {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::F16 => Self::F16,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

impl From<Element> for Precision {
    fn from(element: Element) -> Self {
        match element {
            Element::F32 => Self::F32,
            Element::F16 => Self::F16,
            Element::Bf16 => Self::Bf16,
        }
    }
}

/// What the backward pass keeps from the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "gen", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ActivationCheckpointing {
    /// Every block's activations.
    None,
    /// Every block's input; the rest is computed again.
    Block,
}
