use super::Activation;
use crate::assemble::Constant;
use crate::element::Element;
use crate::program::Access::{Read, ReadWrite};
use crate::program::{Program, Work};

fn part(activation: Activation) -> Constant {
    let text = match activation {
        Activation::Silu => include_str!("silu.wgsl"),
        Activation::GeluTanh => include_str!("gelu_tanh.wgsl"),
    };
    Constant::Part("activation", text)
}

/// Buffers: gate, up, out.
#[must_use]
pub fn glu_program(activation: Activation, count: usize) -> Program {
    let (text, parts) = (include_str!("glu.wgsl"), [part(activation)]);
    let buffers = &[Read, Read, ReadWrite];
    Program::new("glu", text, &parts, buffers, vec![count as u32], count.div_ceil(256))
        .doing(glu_work(Element::F32, count))
}

/// Buffers: gate, up, the gradient in the output, `grad_gate`, `grad_up`.
#[must_use]
pub fn glu_backward_program(activation: Activation, count: usize) -> Program {
    let (text, parts) = (include_str!("glu_backward.wgsl"), [part(activation)]);
    let buffers = &[Read, Read, Read, ReadWrite, ReadWrite];
    Program::new("glu_backward", text, &parts, buffers, vec![count as u32], count.div_ceil(256))
        .doing(glu_backward_work(Element::F32, count))
}

/// What it has to do where gate and up are of this type.
#[must_use]
pub fn glu_work(gated: Element, count: usize) -> Work {
    Work::new([count], 4, count).moving(gated, 2 * count)
}

/// What its backward pass has to do there.
#[must_use]
pub fn glu_backward_work(gated: Element, count: usize) -> Work {
    Work::new([count], 11, 3 * count).moving(gated, 2 * count)
}

/// One of every variant, for tests without a device.
#[cfg(test)]
pub(crate) fn programs() -> Vec<Program> {
    Activation::ALL
        .into_iter()
        .flat_map(|activation| {
            [glu_program(activation, 100), glu_backward_program(activation, 100)]
        })
        .collect()
}
