//! Points and lengths of time as players and people write them, and the one way in which we do.

/// Milliseconds of `10`, `10.5`, `10s`, `1m30s`, `500ms`, `1:30` or `00:01:30.5`. A plain number
/// counts seconds. `None` for anything else.
pub fn parse(text: &str) -> Option<u64> {
    match text.contains(':') {
        true => by_clock(text),
        false => by_units(text),
    }
}

/// The one way: seconds, with as much of a fraction as there is.
pub fn show(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    match rest {
        0 => format!("{seconds}s"),
        _ => {
            let fraction = format!("{rest:03}");
            format!("{seconds}.{}s", fraction.trim_end_matches('0'))
        }
    }
}

/// Hours, minutes and seconds between colons. Only the first of them may be 60 or more.
fn by_clock(text: &str) -> Option<u64> {
    let mut parts = text.split(':').rev();
    let last = seconds(parts.next()?)?;
    let minutes = number(parts.next()?)?;
    let hours = parts.next().map(number);
    if parts.next().is_some() || last >= 60_000 || (hours.is_some() && minutes >= 60) {
        return None;
    }
    let hours = match hours {
        Some(hours) => hours?,
        None => 0,
    };
    Some(hours * 3_600_000 + minutes * 60_000 + last)
}

/// Numbers with their units, the larger before the smaller; or a plain number of seconds.
fn by_units(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut next = 0;
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let (amount, after) = rest.split_at(rest.find(|c| !digits(c)).unwrap_or(rest.len()));
        let letters = after.find(digits).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return (next == 0).then(|| seconds(amount)).flatten();
        }
        let at = UNITS.iter().position(|(name, _)| *name == unit)?;
        if at < next {
            return None;
        }
        total += match unit {
            "s" => seconds(amount)?,
            _ => number(amount)? * UNITS[at].1,
        };
        (next, rest) = (at + 1, after);
    }
    (next > 0).then_some(total)
}

/// Milliseconds of a number of seconds, perhaps with a fraction.
fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let plain = fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if !plain || fraction.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    Some(number(whole)? * 1000 + thousandths)
}

/// A whole number that no multiple here overflows.
fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let digits = text.trim_start_matches('0');
    match digits {
        _ if !plain || digits.len() > 9 => None,
        "" => Some(0),
        digits => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_in_every_writing() {
        let table: &[(u64, &[&str])] = &[
            (0, &["0", "0s", "00:00", "0ms", "00:00:00.000"]),
            (
                10_000,
                &[
                    "10", "10s", "010", "00:10", "0:0:10", "10.0", "10.000s", "0m10s", "10000ms",
                ],
            ),
            (10_500, &["10.5", "10.50s", "10s500ms", "00:10.5"]),
            (
                90_000,
                &["90", "1m30s", "1:30", "00:01:30", "0h1m30s", "90s"],
            ),
            (5_400_000, &["1h30m", "90:00", "1:30:00", "90m"]),
        ];
        for (milliseconds, texts) in table {
            for text in *texts {
                assert_eq!(parse(text), Some(*milliseconds), "{text}");
            }
        }
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in [
            "",
            "s",
            "-1",
            "+1",
            "1e3",
            "1.",
            ".5",
            "1.2345",
            "1:2:3:4",
            "1:60",
            "1:60:00",
            ":10",
            "10:",
            "1s1m",
            "1s1s",
            "10S",
            "1.5m",
            "1 s",
            "1d",
            "9999999999",
            "1m30",
            "1:1.2.3",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn our_way_reads_as_it_is_written(milliseconds in 0..1_000_000_000_000u64) {
            prop_assert_eq!(parse(&show(milliseconds)), Some(milliseconds));
        }

        #[test]
        fn any_text_is_survived(text in "[0-9.:hms]{0,12}|.{0,8}") {
            if let Some(milliseconds) = parse(&text) {
                prop_assert_eq!(parse(&show(milliseconds)), Some(milliseconds));
            }
        }
    }
}
