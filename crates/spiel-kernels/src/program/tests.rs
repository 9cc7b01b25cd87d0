//! Every program's text, validated without a device.

use super::{Access, Program};
use crate::element::Element;
use crate::formats::Format;
use crate::ops::adamw::{AdamW, adamw_deltas_program, adamw_program};
use crate::ops::attention::{
    Bound, Heads, attention_backward_kv_program, attention_backward_q_program, attention_program,
    attention_stats_program,
};
use crate::ops::clip::{clip_program, sum_of_squares_program};
use crate::ops::cross_entropy::cross_entropy_program;
use crate::ops::delta::{
    accumulate_candidates_program, add_deltas_program, apply_in_place_program, gather_program,
    materialise_program, restore_program, sampled_gradient_program,
};
use crate::ops::embedding::{embedding_backward_program, embedding_program};
use crate::ops::linear::{
    Layout, Tiling, add_bias_backward_program, add_bias_program, linear_deltas_program,
    linear_packed_program, product_program,
};
use crate::ops::positions::{count_marked_program, mark_drawn_program, write_marked_program};
use crate::ops::probe::{copy_probe_program, fma_probe_program};
use crate::ops::reselect::{
    GrownEntry, candidate_keys_program, exclude_program, mark_program, momentum_keys_program,
    place_kept_program, rearrange_program, settle_program, slot_keys_program, want_program,
};
use crate::ops::rms_norm::{
    rms_norm_backward_program, rms_norm_program, rms_norm_weight_backward_program,
};
use crate::ops::rope::{Direction, rope_program};
use crate::ops::rows::{gather_rows_program, scatter_rows_program};
use crate::ops::sm3::{Sm3, sm3_accumulate_program, sm3_estimate_program};
use crate::ops::swiglu::{swiglu_backward_program, swiglu_program};
use crate::ops::top_k::{
    Keys, choose_digit_program, count_chosen_program, count_digits_program, place_runs_program,
    write_chosen_program,
};
use crate::ops::transpose::transpose_program;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::path::Path;

/// WebGPU's default for storage buffers per stage.
const MAX_STORAGE_BUFFERS: usize = 8;
/// WebGPU's default for workgroup memory, in bytes.
const MAX_WORKGROUP_MEMORY: u32 = 16 * 1024;
/// WebGPU's default for invocations of a workgroup.
const MAX_INVOCATIONS: u32 = 256;

fn programs() -> Vec<Program> {
    let heads = Heads { heads: 4, kv_heads: 2, head_dim: 256, window: None };
    let adamw =
        AdamW { learning_rate: 0.1, weight_decay: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    let sm3 = Sm3 { learning_rate: 0.1, weight_decay: 0.1, epsilon: 1e-8 };
    let window = 0..9;
    let mut programs = vec![
        embedding_backward_program(3, 64, &window),
        rms_norm_program(3, 64, 1e-5),
        rms_norm_backward_program(3, 64, 1e-5, true),
        rms_norm_backward_program(3, 64, 1e-5, false),
        rms_norm_weight_backward_program(3, 64),
        rope_program(3, 4, 16, Direction::Backward),
        attention_stats_program(3, heads),
        swiglu_program(100),
        swiglu_backward_program(100),
        add_bias_program(3, 64),
        add_bias_backward_program(3, 64),
        mark_drawn_program([1, 2], 9, 99, &window),
        count_marked_program(9),
        write_marked_program(9, 0),
        transpose_program([9, 64], &window, &(0..64)),
        gather_rows_program(&window, 64, &window),
        scatter_rows_program(&window, 64, &window),
        cross_entropy_program(0, 3, 100, None),
        cross_entropy_program(0, 3, 100, Some(1.0)),
        apply_in_place_program(9, &window),
        restore_program(9, &window),
        gather_program(9, &window, false),
        gather_program(9, &window, true),
        sampled_gradient_program(Tiling::Shared, 9, 3, 64, &window, &window, true),
        sampled_gradient_program(Tiling::Registers, 9, 3, 64, &window, &window, false),
        accumulate_candidates_program(9),
        adamw_program(&adamw, 1, 9),
        adamw_deltas_program(&adamw, 9),
        sm3_estimate_program(&sm3, 9, 64),
        sm3_accumulate_program(9, 64),
        sum_of_squares_program(9, 0),
        clip_program(9, 1.0, 1),
        fma_probe_program(),
        copy_probe_program(64),
        choose_digit_program(10),
        place_runs_program(9),
        slot_keys_program(9, true),
        mark_program(9),
        candidate_keys_program(9),
        want_program(9, 0),
        settle_program(9),
        momentum_keys_program(3, 64),
        exclude_program(9, &window),
        place_kept_program(9),
    ];
    for head_dim in [1, 6, 64, 160, 256] {
        let heads = Heads { head_dim, ..heads };
        for queries in [1, 100] {
            let bound = Bound { queries: 0..queries, keys: 0..100, resumes: false };
            programs.push(attention_program(heads, &bound));
            programs.push(attention_backward_q_program(heads, &bound));
            programs.push(attention_backward_kv_program(heads, &bound));
        }
    }
    programs.extend(products());
    for tiling in [Tiling::Shared, Tiling::Registers] {
        for tokens in [1, 8] {
            programs.push(linear_deltas_program(tiling, 9, tokens, [64, 9]));
            for &format in Format::ALL {
                for inputs in [63, 64] {
                    let shape = [inputs, 9];
                    programs.push(linear_packed_program(tiling, format, tokens, shape, &window));
                }
            }
        }
    }
    for &format in Format::ALL {
        programs.push(embedding_program(format, 3, 64, &window));
        for element in Element::ALL {
            programs.push(materialise_program(format, element, 64));
            programs.push(add_deltas_program(format, element, 9, &window));
        }
    }
    for keys in [Keys::Words, Keys::Magnitudes] {
        programs.push(count_digits_program(keys, 9, 0));
        programs.push(count_chosen_program(keys, 9));
        programs.push(write_chosen_program(keys, 9, 0));
    }
    for grown in [GrownEntry::Constant(1), GrownEntry::Copied, GrownEntry::Scaled(2.0)] {
        programs.push(rearrange_program(9, grown));
    }
    programs
}

/// Dense products of every orientation and type of weights.
fn products() -> Vec<Program> {
    let mut programs = Vec::new();
    for tiling in [Tiling::Shared, Tiling::Registers] {
        for size in [64, 67, 2048] {
            let row_major = Layout { first: 0, row: size, column: 1 };
            let column_major = Layout { first: 4, row: 1, column: size };
            for a in [row_major, column_major] {
                for b in [row_major, column_major] {
                    let (layouts, accumulate) = ([a, b, row_major], size == 67);
                    programs.extend(Element::ALL.map(|element| {
                        product_program(tiling, element, [size; 3], layouts, accumulate)
                    }));
                }
            }
        }
    }
    programs
}

/// The storage bindings that a text declares, by number.
fn declared(module: &naga::Module) -> Vec<(u32, Access)> {
    let mut bindings: Vec<_> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| match (variable.space, &variable.binding) {
            (naga::AddressSpace::Storage { access }, Some(binding)) => {
                let writes = access.contains(naga::StorageAccess::STORE);
                let access = if writes { Access::ReadWrite } else { Access::Read };
                Some((binding.binding, access))
            }
            _ => None,
        })
        .collect();
    bindings.sort_by_key(|(number, _)| *number);
    bindings
}

#[test]
fn every_text_is_valid_and_binds_what_its_program_says() {
    for program in programs() {
        let Program { label, source, buffers, .. } = &program;
        let module = naga::front::wgsl::parse_str(source)
            .unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(source)));
        // Halves are asked for where they are used, and nowhere else.
        let halves = Capabilities::SHADER_FLOAT16;
        let halves = if source.starts_with("enable f16;") { halves } else { Capabilities::empty() };
        Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32 | halves)
            .validate(&module)
            .unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(source)));
        let expected: Vec<_> = (1..).zip(buffers.iter().copied()).collect();
        assert_eq!(declared(&module), expected, "{label}");
    }
}

#[test]
fn every_program_says_what_it_has_to_do() {
    // Attention's work is that of its spans, which the launcher knows.
    let launched = programs().into_iter().filter(|program| !program.label.starts_with("attention"));
    for Program { label, work, .. } in launched {
        assert!(work.bytes > 0 && work.shape[0] > 0, "{label}: {work:?}");
    }
}

#[test]
fn every_program_fits_the_limits_of_webgpu() {
    for program in programs() {
        let label = program.label;
        assert!(program.buffers.len() <= MAX_STORAGE_BUFFERS, "{label}");
        assert!(program.workgroups.iter().all(|groups| *groups <= super::MAX_GROUPS), "{label}");
        let module = naga::front::wgsl::parse_str(&program.source).expect("valid");
        let invocations = module.entry_points[0].workgroup_size.iter().product::<u32>();
        assert!(invocations <= MAX_INVOCATIONS, "{label}");
        let context = module.to_ctx();
        let memory: u32 = module
            .global_variables
            .iter()
            .filter(|(_, variable)| variable.space == naga::AddressSpace::WorkGroup)
            .map(|(_, variable)| module.types[variable.ty].inner.size(context))
            .sum();
        assert!(memory <= MAX_WORKGROUP_MEMORY, "{label}: {memory} bytes");
    }
}

#[test]
fn every_wgsl_file_is_in_a_program() {
    let sources: Vec<String> = programs().into_iter().map(|program| program.source).collect();
    for text in wgsl_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        assert!(sources.iter().any(|source| source.contains(&text)), "in no program:\n{text}");
    }
}

/// The texts of the WGSL files below a folder.
fn wgsl_files(folder: &Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let texts = entries.map(|entry| entry.path()).map(|path| match path.extension() {
        _ if path.is_dir() => wgsl_files(&path),
        Some(extension) if extension == "wgsl" => {
            vec![std::fs::read_to_string(&path).expect("a text")]
        }
        _ => Vec::new(),
    });
    texts.flatten().collect()
}
