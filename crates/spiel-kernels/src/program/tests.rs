//! Every program's text, validated without a device.

use super::{Access, Program};
use crate::ops::programs;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::path::Path;

/// WebGPU's default for storage buffers per stage.
const MAX_STORAGE_BUFFERS: usize = 8;
/// WebGPU's default for workgroup memory, in bytes.
const MAX_WORKGROUP_MEMORY: u32 = 16 * 1024;
/// Words of parameters that a launch can have.
const MAX_PARAMS: usize = 64;
/// WebGPU's default for invocations of a workgroup.
const MAX_INVOCATIONS: u32 = 256;

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
        let Program { label, buffers, params, .. } = &program;
        let source = &program.source.assemble();
        let module = naga::front::wgsl::parse_str(source)
            .unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(source)));
        // Halves are asked for where they are used, and nowhere else.
        let halves = Capabilities::SHADER_FLOAT16;
        let halves = if source.starts_with("enable f16;") { halves } else { Capabilities::empty() };
        let info = Validator::new(
            ValidationFlags::all(),
            Capabilities::SHADER_FLOAT16_IN_FLOAT32 | halves,
        )
        .validate(&module)
        .unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(source)));
        let expected: Vec<_> = (1..).zip(buffers.iter().copied()).collect();
        assert_eq!(declared(&module), expected, "{label}");
        assert_eq!(words_of_params(&module), params.len(), "{label}");
        assert!(params.len() <= MAX_PARAMS, "{label}");
        let used = info.get_entry_point(0);
        for (handle, variable) in module.global_variables.iter() {
            let name = variable.name.as_deref().unwrap_or_default();
            assert!(variable.binding.is_none() || !used[handle].is_empty(), "{label}: {name}");
        }
    }
}

/// Words that a text takes its parameters from.
fn words_of_params(module: &naga::Module) -> usize {
    let uniforms = module
        .global_variables
        .iter()
        .filter(|(_, variable)| variable.space == naga::AddressSpace::Uniform);
    uniforms
        .map(|(_, params)| module.types[params.ty].inner.size(module.to_ctx()) as usize / 4)
        .sum()
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
        let module = naga::front::wgsl::parse_str(&program.source.assemble()).expect("valid");
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
    let sources: Vec<String> =
        programs().into_iter().map(|program| program.source.assemble()).collect();
    for text in wgsl_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        assert!(sources.iter().any(|source| source.contains(&text)), "in no program:\n{text}");
    }
}

#[test]
fn every_program_is_explained() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kernels.md");
    let document = std::fs::read_to_string(path).expect("the document of the kernels");
    let (_, after) = document.split_once("\n## Operations\n").expect("a section on operations");
    let (operations, _) = after.split_once("\n## ").expect("a section after it");
    for Program { label, .. } in programs() {
        let explained = operations.contains(&format!("`{label}`"));
        assert!(explained, "docs/kernels.md does not say what the operation {label} is");
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
