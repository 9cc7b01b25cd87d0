//! Prints `src/engine/protocol.gen.ts`: the protocol's types as TypeScript, and its hash.
#![expect(clippy::print_stdout, reason = "printing is this tool's purpose")]
#![allow(clippy::wildcard_imports, reason = "every type of the protocol is printed")]

use spiel_engine::protocol::{self, *};
use ts_rs::{Config, TS};

fn main() {
    let config = Config::default().with_large_int("number");
    println!(
        "// Generated from crates/spiel-engine/src/protocol by `deno task gen`. Do not edit.\n"
    );
    println!("/** Identifies the protocol these types belong to. */");
    println!("export const PROTOCOL_HASH = \"{}\";\n", protocol::protocol_hash());
    println!("/** Marks a position of a micro-batch whose next token is not trained. */");
    println!("export const IGNORE = 0x{IGNORE:X};\n");
    macro_rules! declare {
        ($($name:ident),* $(,)?) => {
            $(if let Some(docs) = $name::docs() {
                print!("{docs}");
            }
            println!("export {}\n", $name::decl(&config));)*
        };
    }
    declare!(
        Request,
        DeviceChoice,
        WeightFormat,
        StateField,
        GrowthCriterion,
        Optimizer,
        Trainable,
        ActivationCheckpointing,
        Precision,
        ModelConfig,
        HiddenAct,
        NormSpan,
        NormPlacement,
        LayerAttention,
        Rope,
        RopeScaling,
        ModelOptions,
        TensorFormat,
        DeltaCount,
        BatchShape,
        ForwardOutput,
        OptimizerUpdate,
        Reply,
        EngineInfo,
        GpuList,
        GpuInfo,
        GpuLimits,
        FormatInfo,
        Profile,
        ProfileCall,
        ProfileRow,
        ProfileTotals,
        MemoryTable,
        MemoryRow,
        ModelPlan,
        TensorInfo,
        ArrayInfo,
        ArrayType,
        GradientTrials,
        GradientTrial,
        Reselection,
        ModuleReselection,
        Loss,
        UpdateInfo,
        ErrorInfo,
        ErrorCode,
    );
}
