//! What the instructions of tiles do, by plain code: tests run the loop by it where the CPU has none.
//!
//! Source: Intel's Architecture Instruction Set Extensions, chapter 3, and the instructions' pages in volume 2 of the
//! Software Developer's Manual. Not so here: a configuration may not start within a tile, as nothing interrupts loads and
//! stores; which NaN comes out.

use super::TILE;

/// Bytes of a row, and tiles, of palette 1.
const ROW: usize = 64;
const TILES: usize = 8;

/// Where a configuration has the bytes of rows, two bytes a tile, and the numbers of rows.
const ROW_BYTES: usize = 16;
const ROWS: usize = 48;

/// Why the CPU would raise an exception.
pub(super) type Refusal = &'static str;

/// An instruction with its operands: tiles by number, memory by address, bytes between rows in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instruction {
    LoadConfiguration { from: usize },
    StoreConfiguration { to: usize },
    Release,
    Zero { tile: usize },
    Load { tile: usize, from: usize, stride: usize },
    Store { tile: usize, to: usize, stride: usize },
    Multiply { sums: usize, a: usize, b: usize },
}

/// The tiles of a thread.
pub(super) struct Tiles {
    /// As it is stored; zeros where the tiles are not configured.
    configuration: [u8; 64],
    data: [[[u8; ROW]; TILE]; TILES],
}

impl Tiles {
    pub(super) const UNCONFIGURED: Self =
        Self { configuration: [0; 64], data: [[[0; ROW]; TILE]; TILES] };

    /// # Errors
    /// Why the CPU would raise an exception instead.
    ///
    /// # Safety
    /// The memory that the instruction names may be read, or written, as the instruction does it.
    pub(super) unsafe fn perform(&mut self, instruction: Instruction) -> Result<(), Refusal> {
        match instruction {
            Instruction::LoadConfiguration { from } => {
                // SAFETY: the caller's promise.
                self.configure(unsafe { (from as *const [u8; 64]).read() })?;
            }
            Instruction::StoreConfiguration { to } => {
                // SAFETY: the caller's promise.
                unsafe { (to as *mut [u8; 64]).write(self.configuration) };
            }
            Instruction::Release => *self = Self::UNCONFIGURED,
            Instruction::Zero { tile } => {
                self.shape(tile)?;
                self.data[tile] = [[0; ROW]; TILE];
            }
            Instruction::Load { tile, from, stride } => {
                let (rows, bytes) = self.shape(tile)?;
                self.data[tile] = [[0; ROW]; TILE];
                for (row, data) in self.data[tile][..rows].iter_mut().enumerate() {
                    let from = from.wrapping_add(row.wrapping_mul(stride)) as *const u8;
                    // SAFETY: the caller's promise; a row has at most `ROW` bytes.
                    unsafe { from.copy_to(data.as_mut_ptr(), bytes) };
                }
            }
            Instruction::Store { tile, to, stride } => {
                let (rows, bytes) = self.shape(tile)?;
                for (row, data) in self.data[tile][..rows].iter().enumerate() {
                    let to = to.wrapping_add(row.wrapping_mul(stride)) as *mut u8;
                    // SAFETY: the caller's promise; a row has at most `ROW` bytes.
                    unsafe { to.copy_from(data.as_ptr(), bytes) };
                }
            }
            Instruction::Multiply { sums, a, b } => self.multiply(sums, a, b)?,
        }
        Ok(())
    }

    fn configure(&mut self, configuration: [u8; 64]) -> Result<(), Refusal> {
        match configuration[..2] {
            [0, _] => {
                *self = Self::UNCONFIGURED;
                return Ok(());
            }
            [1, 0] => {}
            [1, _] => return Err("a configuration that starts within a tile"),
            _ => return Err("no such palette"),
        }
        let (widths, rest) = configuration[ROW_BYTES..ROWS].split_at(2 * TILES);
        let (rows, end) = configuration[ROWS..].split_at(TILES);
        if configuration[2..ROW_BYTES].iter().chain(rest).chain(end).any(|byte| *byte != 0) {
            return Err("reserved bytes of the configuration are not zero");
        }
        for (width, rows) in widths.as_chunks().0.iter().zip(rows) {
            let width = u16::from_le_bytes(*width);
            if usize::from(width) > ROW || usize::from(*rows) > TILE {
                return Err("a tile is larger than 16 rows of 64 bytes");
            }
            if (width == 0) != (*rows == 0) {
                return Err("a tile has rows without bytes, or bytes without rows");
            }
        }
        *self = Self { configuration, ..Self::UNCONFIGURED };
        Ok(())
    }

    /// Rows of a tile, and bytes of each.
    fn shape(&self, tile: usize) -> Result<(usize, usize), Refusal> {
        match (self.configuration[ROWS + tile], self.configuration[ROW_BYTES + 2 * tile]) {
            (0, _) => Err("a tile that is not configured"),
            (_, bytes) if bytes % 4 != 0 => Err("a row that is not of whole words"),
            (rows, bytes) => Ok((rows.into(), bytes.into())),
        }
    }

    /// Sums the earlier and the later numbers of pairs apart, by fused steps in the order of k; then both; then what was
    /// there.
    fn multiply(&mut self, sums: usize, a: usize, b: usize) -> Result<(), Refusal> {
        if sums == a || sums == b || a == b {
            return Err("one tile twice");
        }
        let (rows, bytes) = self.shape(sums)?;
        let (rows_a, bytes_a) = self.shape(a)?;
        if rows_a != rows || self.shape(b)? != (bytes_a / 4, bytes) {
            return Err("tiles whose shapes do not agree");
        }
        let (a, b) = (words(&self.data[a]), words(&self.data[b]));
        for (a, out) in a.iter().zip(&mut self.data[sums]) {
            let mut halves = [[0.0; TILE]; 2];
            for (a, b) in a.iter().zip(&b) {
                for (half, sums) in halves.iter_mut().enumerate() {
                    let factor = number(*a, half);
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = flushed(factor.mul_add(number(*b, half), *sum));
                    }
                }
            }
            for (i, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
                let sum = flushed(halves[0][i] + halves[1][i]);
                *out = flushed(flushed(f32::from_le_bytes(*out)) + sum).to_le_bytes();
            }
        }
        Ok(())
    }
}

/// What lies beyond a tile's shape is zero, and stays so.
fn words(data: &[[u8; ROW]; TILE]) -> [[u32; TILE]; TILE] {
    data.map(|row| std::array::from_fn(|i| u32::from_le_bytes(row.as_chunks().0[i])))
}

/// The earlier number of a pair, or the later one.
fn number(pair: u32, half: usize) -> f32 {
    flushed(f32::from_bits(if half == 0 { pair << 16 } else { pair & 0xFFFF_0000 }))
}

/// Zero for what is denormal.
fn flushed(number: f32) -> f32 {
    if number.is_subnormal() { 0.0_f32.copysign(number) } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration of these tiles, as rows and bytes.
    fn configuration(shapes: &[(u8, u8)]) -> [u8; 64] {
        let mut configuration = [0; 64];
        configuration[0] = 1;
        for (tile, (rows, bytes)) in shapes.iter().enumerate() {
            configuration[ROWS + tile] = *rows;
            configuration[ROW_BYTES + 2 * tile] = *bytes;
        }
        configuration
    }

    fn tiles(shapes: &[(u8, u8)]) -> Tiles {
        let mut tiles = Tiles::UNCONFIGURED;
        tiles.configure(configuration(shapes)).expect("a configuration");
        tiles
    }

    /// Performs an instruction without memory.
    fn perform(tiles: &mut Tiles, instruction: Instruction) -> Result<(), Refusal> {
        // SAFETY: no memory is named.
        unsafe { tiles.perform(instruction) }
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let right = configuration(&[(16, 64); TILES]);
        let mut tiles = tiles(&[(16, 64); TILES]);
        let wrong = [
            (0, 2, "palette"),
            (1, 1, "within"),
            (2, 1, "reserved"),
            (15, 1, "reserved"),
            (16, 65, "larger"),
            (17, 1, "larger"),
            (30, 0, "without"),
            (32, 1, "reserved"),
            (47, 1, "reserved"),
            (48, 17, "larger"),
            (55, 0, "without"),
            (56, 1, "reserved"),
            (63, 1, "reserved"),
        ];
        for (at, byte, why) in wrong {
            let mut configuration = right;
            configuration[at] = byte;
            let refusal = tiles.configure(configuration).expect_err("a wrong byte");
            assert!(refusal.contains(why), "byte {at}: {refusal}");
        }
    }

    #[test]
    fn tiles_that_are_not_configured_cannot_be_used() {
        let zero = Instruction::Zero { tile: 1 };
        let mut tiles = tiles(&[(16, 64)]);
        assert!(perform(&mut tiles, Instruction::Zero { tile: 0 }).is_ok());
        assert!(perform(&mut tiles, zero).is_err());
        tiles.configure(configuration(&[(16, 64); TILES])).expect("a configuration");
        assert!(perform(&mut tiles, zero).is_ok());
        perform(&mut tiles, Instruction::Release).expect("always possible");
        assert!(perform(&mut tiles, zero).is_err());
        assert!(perform(&mut tiles, Instruction::Multiply { sums: 0, a: 1, b: 2 }).is_err());
    }

    #[test]
    fn shapes_of_a_product_must_agree() {
        // Two rows of three sums, of four pairs.
        let mut tiles = tiles(&[(2, 12), (2, 16), (4, 12), (3, 12), (2, 10)]);
        let mut multiply =
            |sums, a, b| perform(&mut tiles, Instruction::Multiply { sums, a, b }).is_ok();
        assert!(multiply(0, 1, 2));
        for (sums, a, b) in [(0, 2, 1), (0, 1, 3), (3, 1, 2), (0, 1, 1), (0, 0, 2), (4, 1, 2)] {
            assert!(!multiply(sums, a, b), "{sums} {a} {b}");
        }
    }

    #[test]
    fn rows_lie_apart_in_memory_by_the_stride() {
        let mut tiles = tiles(&[(3, 8)]);
        let from: Vec<u8> = (1..=40).collect();
        let mut to = [0_u8; 40];
        let load = Instruction::Load { tile: 0, from: from.as_ptr() as usize, stride: 10 };
        let store = Instruction::Store { tile: 0, to: to.as_mut_ptr() as usize, stride: 16 };
        // SAFETY: three rows of eight bytes fit, 10 apart and 16 apart.
        unsafe {
            tiles.perform(load).expect("a tile");
            tiles.perform(store).expect("a tile");
        }
        for (i, byte) in to.iter().enumerate() {
            let (row, at) = (i / 16, i % 16);
            assert_eq!(usize::from(*byte), if at < 8 { row * 10 + at + 1 } else { 0 }, "at {i}");
        }
    }

    /// One sum, of pairs of numbers that are given as bits of bf16, added to another number.
    fn sum<const N: usize>(a: [[u16; 2]; N], b: [[u16; 2]; N], before: f32) -> f32 {
        let mut tiles = tiles(&[(1, 4), (1, 4 * N as u8), (N as u8, 4)]);
        let bytes = |pair: [u16; 2]| (u32::from(pair[0]) | u32::from(pair[1]) << 16).to_le_bytes();
        for k in 0..N {
            tiles.data[1][0][4 * k..][..4].copy_from_slice(&bytes(a[k]));
            tiles.data[2][k][..4].copy_from_slice(&bytes(b[k]));
        }
        tiles.data[0][0][..4].copy_from_slice(&before.to_le_bytes());
        perform(&mut tiles, Instruction::Multiply { sums: 0, a: 1, b: 2 }).expect("shapes agree");
        f32::from_le_bytes(tiles.data[0][0].as_chunks().0[0])
    }

    #[test]
    fn sums_are_rounded_in_the_order_that_intel_gives() {
        let bits = |x: f32| half::bf16::from_f32(x).to_bits();
        let [one, two, great] = [1.0, 2.0, 16_777_216.0].map(bits);
        assert_eq!(sum([[two, one]], [[two, one]], 3.0), 8.0);
        // 2^24 + 1 rounds to even: ones are lost beside the earlier numbers, and kept among the later ones.
        assert_eq!(sum([[great, one], [one, one]], [[one, one]; 2], 0.0), 16_777_218.0);
        assert_eq!(sum([[great, 0], [one, 0], [one, 0]], [[one, 0]; 3], 0.0), 16_777_216.0);
        // What was there is added last.
        assert_eq!(sum([[one, one]], [[one, one]], 16_777_216.0), 16_777_218.0);
        assert_eq!(sum([[one, 0]], [[one, 0]], 16_777_216.0), 16_777_216.0);
    }

    #[test]
    fn denormal_numbers_are_zero() {
        let bits = |x: f32| half::bf16::from_f32(x).to_bits();
        let (denormal, least, great) = (0x0040, bits(f32::MIN_POSITIVE), bits(1e30));
        assert_eq!(sum([[denormal, 0]], [[great, 0]], 0.0), 0.0);
        assert_eq!(sum([[least, 0]], [[bits(0.5), 0]], 0.0), 0.0);
        assert_eq!(sum([[least, 0]], [[bits(1.0), 0]], 0.0), f32::MIN_POSITIVE);
        assert_eq!(sum([[0, 0]], [[0, 0]], f32::from_bits(1)), 0.0);
        // A product is not flushed before it is added.
        let exact = sum([[bits(1.5), 0], [least, 0]], [[least, 0], [bits(0.5), 0]], 0.0);
        assert_eq!(exact, 2.0 * f32::MIN_POSITIVE);
    }
}
