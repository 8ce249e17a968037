//! Bytes and durations as people write and read them: `64MiB`, `1h30m`.

use std::time::Duration;

use jiff::SignedDuration;

const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a number of bytes: `1500`, `64MiB`, `1.5 GiB`, `10MB` (decimal).
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no number of bytes, such as 1500, 64MiB or 1.5GiB");
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor as f64;
    if bytes.is_finite() && bytes < 2f64.powi(63) { Ok(bytes as u64) } else { Err(wrong()) }
}

/// Writes a number of bytes with one decimal where it helps: `64 MiB`, `1.5 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let (unit, size) = UNITS.into_iter().find(|(_, size)| bytes >= *size).unwrap_or(("B", 1));
    if bytes.is_multiple_of(size) {
        format!("{} {unit}", bytes / size)
    } else {
        format!("{:.1} {unit}", bytes as f64 / size as f64)
    }
}

/// Reads a duration: `30s`, `1h30m`, `7d` is `168h`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration, such as 30s, 15m or 1h30m");
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok());
    let duration = match days {
        Some(days) => {
            SignedDuration::from_hours(days.checked_mul(24).filter(|it| *it < 1 << 40).ok_or_else(wrong)?)
        }
        None => text.parse::<SignedDuration>().map_err(|_| wrong())?,
    };
    Duration::try_from(duration).map_err(|_| wrong())
}

/// Writes a duration: `1h 30m`.
pub(super) fn duration(duration: Duration) -> String {
    match SignedDuration::try_from(duration) {
        Ok(duration) => format!("{duration:#}"),
        Err(_) => format!("{duration:?}"),
    }
}

/// Writes a count or a rate in five places or fewer: `0.4`, `950`, `12.3k`, `4.56M`.
pub(super) fn short(count: f64) -> String {
    // At the edge of a unit rounding would add a digit, so the next unit begins a little earlier.
    let (unit, size) = [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)]
        .into_iter()
        .find(|(_, size)| count >= 0.9995 * size)
        .unwrap_or(("", 1.0));
    let value = count / size;
    match value {
        _ if unit.is_empty() && (value >= 9.95 || value.fract() == 0.0) => format!("{value:.0}"),
        _ if unit.is_empty() => format!("{value:.1}"),
        _ if value < 9.995 => format!("{value:.2}{unit}"),
        _ if value < 99.95 => format!("{value:.1}{unit}"),
        _ => format!("{value:.0}{unit}"),
    }
}

/// Writes a duration in six places or fewer: `0.4s`, `12s`, `3m20s`, `2h05m`, `3d04h`.
pub(super) fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("0", 0),
            ("1500", 1500),
            ("64MiB", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1.5k", 1536),
            ("10MB", 10_000_000),
        ] {
            assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "MiB", "-1", "1XB", "1.2.3M", "99999999999TiB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_written_short() {
        assert_eq!([0, 1500, 64 << 20, 3 << 29].map(bytes), ["0 B", "1.5 KiB", "64 MiB", "1.5 GiB"]);
    }

    #[test]
    fn counts_and_durations_fit_a_column() {
        let counts = [0.0, 0.44, 9.96, 42.0, 999.4, 999.6, 12_345.0, 999_960.0, 4_560_000.0, 2e13];
        let texts = ["0", "0.4", "10", "42", "999", "1.00k", "12.3k", "1.00M", "4.56M", "20.0T"];
        assert_eq!(counts.map(short), texts);
        let seconds = [0.42, 12.9, 200.0, 7_500.0, 273_600.0];
        let texts = ["0.4s", "12s", "3m20s", "2h05m", "3d04h"];
        assert_eq!(seconds.map(|it| short_duration(Duration::from_secs_f64(it))), texts);
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("30s", 30), ("1h", 3600), ("1h30m", 5400), ("2d", 172_800)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "5", "-1h", "soon", "999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration(Duration::from_secs(5400)), "1h 30m");
    }
}
