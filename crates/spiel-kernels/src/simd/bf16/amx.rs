//! Tiles by Intel's Advanced Matrix Extensions, whose intrinsics stable Rust does not have.
//!
//! Source of layouts and instructions: Intel's Architecture Instruction Set Extensions, chapter 3.
#![expect(unsafe_code, reason = "a SIMD leaf")]

#[cfg(test)]
mod emulated;
#[cfg(test)]
mod trap;

use super::{EDGE, PAIRS, Sums};
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::mem::size_of_val;

/// Rows of a hardware tile, and its columns of four bytes.
const TILE: usize = 16;

/// The state component of tile data, whose use a process asks the system for.
const TILE_DATA: u64 = 18;

/// `arch_prctl`, and its request for a state component.
const ARCH_PRCTL: u64 = 158;
const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;

/// Whether the CPU has tiles of bf16, the system saves them, and lets this process use them: from then on all its threads
/// may.
pub(super) fn is_available() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    /// Of the configuration and of the data of tiles.
    const TILE_STATE: u32 = 0b11 << 17;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    features & AMX_BF16 != 0
        && features & AMX_TILE != 0
        && saved_states() & TILE_STATE == TILE_STATE
        && may_use_tiles()
}

/// The lower half of XCR0: the states that the system saves for each thread.
fn saved_states() -> u32 {
    let states: u32;
    // SAFETY: the instruction exists where the CPU tells OSXSAVE, and reads a register that always exists.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") states, out("edx") _, options(nomem, nostack));
    }
    states
}

/// Lets tests run what is here on any CPU: its instructions are emulated where it has none.
#[cfg(test)]
pub(super) fn make_available() {
    if !is_available() {
        trap::install();
    }
}

fn may_use_tiles() -> bool {
    let result: i64;
    // SAFETY: the system call changes nothing but what the process may use, and the registers that are named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// The operand of `ldtilecfg`: all eight tiles have sixteen rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; TILE],
    rows: [u8; TILE],
}

static CONFIGURATION: Configuration = {
    let mut configuration = Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [0; TILE],
        rows: [0; TILE],
    };
    let mut tile = 0;
    while tile < 8 {
        configuration.row_bytes[tile] = 64;
        configuration.rows[tile] = TILE as u8;
        tile += 1;
    }
    configuration
};

/// Configures this thread's tiles, and gives them back after `work`, so that the system need not save them any more.
pub(super) fn with_tiles(work: impl FnOnce()) {
    /// Gives them back however the work ends.
    struct Configured;

    impl Drop for Configured {
        fn drop(&mut self) {
            // SAFETY: the tiles were configured on this thread.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }

    // SAFETY: the unit is taken only where `is_available` holds; the operand is a valid configuration of 64 bytes.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly)) };
    let _configured = Configured;
    work();
}

/// Two by two tiles of sums: every tile of an operand that is loaded is multiplied twice.
pub(super) fn sums(a: &[u32], b: &[u32], sums: &mut Sums) {
    let row_bytes = size_of_val(a) / EDGE;
    // SAFETY: inside `with_tiles`. A is 32 rows of `row_bytes`, a multiple of 64; B has as many words in rows of 128 bytes.
    // Each step reads 64 bytes of all rows of A, and sixteen rows of B. The sums are 32 rows of 128 bytes.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {row}]",
            "tileloadd tmm6, [{left} + {line}]",
            "tileloadd tmm7, [{left} + {line} + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{lower} + {row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {upper}, 64",
            "add {lower}, 64",
            "add {left}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 64], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 2112], tmm3",
            upper = inout(reg) a.as_ptr() => _,
            lower = inout(reg) a.as_ptr().byte_add(TILE * row_bytes) => _,
            left = inout(reg) b.as_ptr() => _,
            steps = inout(reg) a.len() / (EDGE * PAIRS) => _,
            row = in(reg) row_bytes,
            line = in(reg) size_of_val(&sums[0]),
            sums = in(reg) sums.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    /// The configuration of this thread's tiles; zeros where there is none.
    fn configuration() -> [u8; 64] {
        let mut bytes = [0xFF; 64];
        // SAFETY: the tests make the instruction available; it writes 64 bytes.
        unsafe { asm!("sttilecfg [{}]", in(reg) bytes.as_mut_ptr(), options(nostack)) };
        bytes
    }

    #[test]
    fn tiles_are_configured_for_the_work_alone() {
        make_available();
        assert_eq!(configuration(), [0; 64]);
        with_tiles(|| {
            let mut expected = [0; 64];
            expected[0] = 1;
            for tile in 0..8 {
                expected[16 + 2 * tile] = 64;
                expected[48 + tile] = 16;
            }
            assert_eq!(configuration(), expected);
            std::thread::scope(|scope| {
                scope.spawn(|| assert_eq!(configuration(), [0; 64], "another thread's"));
            });
        });
        assert_eq!(configuration(), [0; 64], "after the work");
        assert!(catch_unwind(|| with_tiles(|| panic!("work that fails"))).is_err());
        assert_eq!(configuration(), [0; 64], "after work that failed");
    }
}
