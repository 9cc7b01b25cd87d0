//! Instructions of tiles that the CPU does not have: the signal that they raise performs them by [`super::emulated`].
//!
//! Source of encodings: volume 2 of Intel's Software Developer's Manual, 2.1.5 (operands) and 2.3.5 (the VEX prefix), and
//! the instructions' pages.

use super::emulated::{Instruction, Tiles};
use libc::{c_int, c_void, siginfo_t, ucontext_t};
use std::cell::RefCell;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::Once;

/// Places of the registers in a signal's context, in the order of their numbers in instructions.
const REGISTERS: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

thread_local! {
    /// Neither allocated nor dropped, so a signal may use it.
    static TILES: RefCell<Tiles> = const { RefCell::new(Tiles::UNCONFIGURED) };
}

/// From now on every thread of this process may use tiles. An instruction of which the CPU would make a fault ends the
/// process, with a message, as does any other that the CPU does not have.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: all zeros are a valid value, without flags and with an empty mask; the handler is of the kind that
        // `SA_SIGINFO` wants, and does only what a signal may.
        let result = unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = on_illegal_instruction as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGILL, &raw const action, null_mut())
        };
        assert_eq!(result, 0, "no handler of SIGILL");
    });
}

extern "C" fn on_illegal_instruction(signal: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system gives a handler the context of the thread, which stands still.
    let state = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let registers = REGISTERS.map(|register| state[register as usize] as usize);
    let mut end = state[libc::REG_RIP as usize] as *const u8;
    let instruction = decode(&registers, || {
        // SAFETY: a byte is read only when those before it say that the instruction, which the CPU has read, has it.
        unsafe {
            end = end.add(1);
            end.sub(1).read()
        }
    });
    // SAFETY: the loop's own promise about its memory.
    let perform = |i| TILES.with(|tiles| unsafe { tiles.borrow_mut().perform(i) });
    match instruction.map(perform) {
        Some(Ok(())) => state[libc::REG_RIP as usize] = end as i64,
        Some(Err(refusal)) => {
            write("an instruction of tiles is refused: ");
            write(refusal);
            write("\n");
            leave_to_the_system(signal);
        }
        None => leave_to_the_system(signal),
    }
}

/// The instruction is tried again, and ends the process.
fn leave_to_the_system(signal: c_int) {
    // SAFETY: a signal may set what another does.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Writes to the standard error as a signal may.
fn write(text: &str) {
    // SAFETY: so many bytes may be read.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// The instruction whose bytes come; nothing when it is none of tiles that the loop or a test has.
fn decode(registers: &[usize; 16], mut next: impl FnMut() -> u8) -> Option<Instruction> {
    const VEX: u8 = 0xC4;
    const MEMORY: bool = true;
    const REGISTER: bool = false;
    if next() != VEX {
        return None;
    }
    let (first, second) = (next(), next());
    // Opcodes that begin with 0F 38, 128 bits, W = 0: so are all of them.
    if first & 0x1F != 2 || second & 0x84 != 0 {
        return None;
    }
    let (opcode, operands) = (next(), next());
    let in_memory = operands >> 6 != 3;
    // The prefix has numbers of registers inverted; there are but eight tiles.
    let third = usize::from((!second >> 3) & 15);
    let (tile, other) = (usize::from(operands >> 3 & 7), usize::from(operands & 7));
    let no_ninth = first & 0x80 != 0 && (in_memory || first & 0x20 != 0);
    if !no_ninth || (third != 0 && opcode != 0x5C) {
        return None;
    }
    let mut memory = || address(registers, first, operands, &mut next);
    Some(match (opcode, second & 3, in_memory) {
        (0x49, 0, MEMORY) if tile == 0 => {
            let (base, index) = memory()?;
            Instruction::LoadConfiguration { from: base.wrapping_add(index) }
        }
        (0x49, 1, MEMORY) if tile == 0 => {
            let (base, index) = memory()?;
            Instruction::StoreConfiguration { to: base.wrapping_add(index) }
        }
        (0x49, 0, REGISTER) if (tile, other) == (0, 0) => Instruction::Release,
        (0x49, 3, REGISTER) if other == 0 => Instruction::Zero { tile },
        (0x4B, 3, MEMORY) if other == 4 => {
            let (from, stride) = memory()?;
            Instruction::Load { tile, from, stride }
        }
        (0x4B, 2, MEMORY) if other == 4 => {
            let (to, stride) = memory()?;
            Instruction::Store { tile, to, stride }
        }
        (0x5C, 2, REGISTER) if third < 8 => {
            Instruction::Multiply { sums: tile, a: other, b: third }
        }
        _ => return None,
    })
}

/// The base of an operand in memory with its displacement, and its scaled index, 0 where there is none; nothing where
/// there is no base register.
fn address(
    registers: &[usize; 16],
    prefix: u8,
    operands: u8,
    next: &mut impl FnMut() -> u8,
) -> Option<(usize, usize)> {
    let register = |low: u8, bit: u8| usize::from(low & 7 | (!prefix >> bit & 1) << 3);
    let (mut base, mut index) = (operands, 0);
    if operands & 7 == 4 {
        let scaled = next();
        base = scaled;
        index = match register(scaled >> 3, 6) {
            4 => 0,
            number => registers[number] << (scaled >> 6),
        };
    }
    let displacement = match operands >> 6 {
        0 if base & 7 == 5 => return None,
        0 => 0,
        1 => isize::from(next() as i8),
        _ => i32::from_le_bytes([next(), next(), next(), next()]) as isize,
    };
    Some((registers[register(base, 5)].wrapping_add_signed(displacement), index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::arch::asm;

    #[test]
    fn instructions_are_what_an_assembler_means_by_their_bytes() {
        use Instruction::{
            Load, LoadConfiguration, Multiply, Release, Store, StoreConfiguration, Zero,
        };
        /// A register's value, by its number.
        const fn r(number: usize) -> usize {
            number << 16
        }
        // As GNU's assembler encodes what stands beside them.
        let cases: [(&[u8], Instruction); 14] = [
            // ldtilecfg [rax], [r13+64], [rsp+rcx*4-8]; sttilecfg [r12]; tilerelease; tilezero tmm3
            (&[0xC4, 0xE2, 0x78, 0x49, 0x00], LoadConfiguration { from: r(0) }),
            (&[0xC4, 0xC2, 0x78, 0x49, 0x45, 0x40], LoadConfiguration { from: r(13) + 64 }),
            (
                &[0xC4, 0xE2, 0x78, 0x49, 0x44, 0x8C, 0xF8],
                LoadConfiguration { from: r(4) + r(1) * 4 - 8 },
            ),
            (&[0xC4, 0xC2, 0x79, 0x49, 0x04, 0x24], StoreConfiguration { to: r(12) }),
            (&[0xC4, 0xE2, 0x78, 0x49, 0xC0], Release),
            (&[0xC4, 0xE2, 0x7B, 0x49, 0xD8], Zero { tile: 3 }),
            // tileloadd tmm5, [rsi+rdx]; tmm7, [r13+r9+64]; tmm2, [rbp+rbx*2-1024]; tmm1, [rbp]; tmm1, [r12]
            (&[0xC4, 0xE2, 0x7B, 0x4B, 0x2C, 0x16], Load { tile: 5, from: r(6), stride: r(2) }),
            (
                &[0xC4, 0x82, 0x7B, 0x4B, 0x7C, 0x0D, 0x40],
                Load { tile: 7, from: r(13) + 64, stride: r(9) },
            ),
            (
                &[0xC4, 0xE2, 0x7B, 0x4B, 0x94, 0x5D, 0x00, 0xFC, 0xFF, 0xFF],
                Load { tile: 2, from: r(5) - 1024, stride: r(3) * 2 },
            ),
            (&[0xC4, 0xE2, 0x7B, 0x4B, 0x4C, 0x25, 0x00], Load { tile: 1, from: r(5), stride: 0 }),
            (&[0xC4, 0xC2, 0x7B, 0x4B, 0x0C, 0x24], Load { tile: 1, from: r(12), stride: 0 }),
            // tilestored [r8+r15+2112], tmm6; [rax+rcx], tmm0; tdpbf16ps tmm1, tmm4, tmm7
            (
                &[0xC4, 0x82, 0x7A, 0x4B, 0xB4, 0x38, 0x40, 0x08, 0x00, 0x00],
                Store { tile: 6, to: r(8) + 2112, stride: r(15) },
            ),
            (&[0xC4, 0xE2, 0x7A, 0x4B, 0x04, 0x08], Store { tile: 0, to: r(0), stride: r(1) }),
            (&[0xC4, 0xE2, 0x42, 0x5C, 0xCC], Multiply { sums: 1, a: 4, b: 7 }),
        ];
        let registers: [usize; 16] = std::array::from_fn(r);
        for (bytes, expected) in cases {
            let mut rest = bytes.iter();
            let decoded = decode(&registers, || *rest.next().expect("another byte"));
            assert_eq!((decoded, rest.len()), (Some(expected), 0), "{bytes:02X?}");
        }
    }

    /// Whether a process of its own ends by a signal at this work, which may do only what a signal may.
    fn is_fatal(work: fn()) -> bool {
        let mut status = 0;
        // SAFETY: the new process, of one thread, does nothing but these calls and the work.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::prctl(libc::PR_SET_DUMPABLE, 0);
                libc::close(libc::STDERR_FILENO);
                work();
                libc::_exit(0);
            }
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        }
        libc::WIFSIGNALED(status)
    }

    #[test]
    fn wrong_use_of_tiles_and_other_illegal_instructions_end_the_process() {
        static CONFIGURATION: [u8; 64] = [9; 64];
        super::super::make_available();
        assert!(!is_fatal(|| ()));
        // SAFETY: they change no memory, and none comes to its end.
        unsafe {
            assert!(is_fatal(|| asm!("ud2")));
            assert!(is_fatal(|| asm!("tilezero tmm0")));
            assert!(is_fatal(|| asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION)));
        }
    }
}
