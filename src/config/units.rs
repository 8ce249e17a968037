//! Sizes and durations as people write them: `64MiB`, `30s`, `1h30m`.
//!
//! What is printed can be read again and means the same, so that the output of `--check` is a valid
//! configuration file.

use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

const DURATIONS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a size in bytes: a whole number, alone or with a unit (case does not matter; `K`, `M`, `G`
/// and `T` mean KiB, MiB, GiB and TiB).
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text.trim());
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" => "b".to_owned(),
        one @ ("k" | "m" | "g" | "t") => format!("{one}ib"),
        other => other.to_owned(),
    };
    let (_, factor) = SIZES.iter().find(|(name, _)| name.to_ascii_lowercase() == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a size in the largest binary unit that divides it.
pub fn format_bytes(bytes: u64) -> String {
    let (unit, factor) = SIZES
        .iter()
        .find(|(_, factor)| factor.is_power_of_two() && bytes.is_multiple_of(*factor) && bytes > 0)
        .unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / factor)
}

/// Reads a duration: whole numbers with units, largest first, such as `1h30m`, `30s` or `250ms`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let (mut total, mut previous) = (0_u64, u64::MAX);
    while !rest.is_empty() {
        let (number, after) = split(rest);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let (_, factor) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
        if *factor >= previous {
            return None;
        }
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        (previous, rest) = (*factor, next);
    }
    (previous < u64::MAX).then(|| Duration::from_millis(total))
}

/// Writes a duration in milliseconds' resolution, largest unit first.
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in DURATIONS {
        if left >= *factor {
            text.push_str(&format!("{}{unit}", left / factor));
            left %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("1B", 1),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("2G", 2 << 30),
            ("5kB", 5000),
            ("1TB", 1_000_000_000_000),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "1 mile", "99999999999TiB", "1MiB2"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "30m1h", "1s1s", "10 years", "99999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_printed_reads_back_the_same() {
        for bytes in [0, 1, 1000, 1024, 65_536, 3 << 20, (1 << 30) + 1, u64::MAX] {
            assert_eq!(parse_bytes(&format_bytes(bytes)), Some(bytes));
        }
        for millis in [0, 1, 999, 1000, 61_001, 5_400_000, 90_061_001, 604_800_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
    }
}
