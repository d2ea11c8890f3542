//! Floating point numbers as Java writes them.

/// `Double.toString`.
#[must_use]
pub(crate) fn double(value: f64) -> String {
    if !value.is_finite() || value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return special(value.is_nan(), value.is_infinite(), value < 0.0).unwrap_or_else(|| format!("{value:?}"));
    }
    scientific(&format!("{value:e}"))
}

/// `Float.toString`.
#[must_use]
pub(crate) fn float(value: f32) -> String {
    if !value.is_finite() || value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return special(value.is_nan(), value.is_infinite(), value < 0.0).unwrap_or_else(|| format!("{value:?}"));
    }
    scientific(&format!("{value:e}"))
}

fn special(is_nan: bool, is_infinite: bool, is_negative: bool) -> Option<String> {
    match (is_nan, is_infinite, is_negative) {
        (true, ..) => Some("NaN".to_owned()),
        (_, true, true) => Some("-Infinity".to_owned()),
        (_, true, false) => Some("Infinity".to_owned()),
        _ => None,
    }
}

/// Rust's `1e10` and `1.5e-7` as Java's `1.0E10` and `1.5E-7`.
fn scientific(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_like_javas() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1.5e-7, "1.5E-7"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-123_456_789.5, "-1.234567895E8"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), text);
        }
        assert_eq!(double(f64::NAN), "NaN");
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(3.4e38), "3.4E38");
    }
}
