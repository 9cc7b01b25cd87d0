//! Sizes of memory as people read them.

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes with a binary unit: `1.2 GiB`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = bytes.ilog2() / 10;
    let value = bytes as f64 / f64::from(power * 10).exp2();
    format!("{value:.1} {}", UNITS[power as usize - 1])
}

#[cfg(test)]
mod tests {
    use super::format_bytes;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (3 << 19, "1.5 MiB"),
            (5_000_000_000, "4.7 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, words) in sizes {
            assert_eq!(format_bytes(bytes), words);
        }
    }
}
