use jiff::SignedDuration;

/// Reads a duration as the kinds write it: a number from 1 to 99999 and `m`, `h` or `d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<SignedDuration> {
    let unit_at = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    if number.len() > 5 || number.starts_with('0') || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: i64 = number.parse().ok()?;
    Some(match unit {
        "m" => SignedDuration::from_mins(number),
        "h" => SignedDuration::from_hours(number),
        "d" => SignedDuration::from_hours(24 * number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, hours) in [
            ("60m", Some(1)),
            ("24h", Some(24)),
            ("30d", Some(720)),
            ("99999d", Some(2_399_976)),
        ] {
            assert_eq!(
                parse_duration(text),
                hours.map(SignedDuration::from_hours),
                "{text}"
            );
        }
        for text in [
            "", "d", "0d", "01d", "-1d", "1", "1w", "1.5h", "100000d", "é", "1é",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
