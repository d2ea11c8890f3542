//! What is told of the results: one line a run while they come, a table at the end, and one HTML page with everything.
//!
//! [`summary`] judges, once for both; [`table`] prints; [`page`] writes the page with [`plots`], which draw with [`svg`].

mod page;
mod plots;
mod summary;
mod svg;
mod table;

pub use page::{machine_readable, page};
pub use summary::{Row, summarize};
pub use table::{line, table};

/// From here on the generator, not the broker, may be what was measured.
pub const GENERATOR_BUSY_MAX: f64 = 0.95;

/// A number with about three significant digits, thousands apart.
pub(crate) fn number(v: f64) -> String {
    if !v.is_finite() {
        return "–".to_owned();
    }
    let places = match v.abs() {
        a if a >= 100.0 || a == 0.0 => 0,
        a if a >= 10.0 => 1,
        a if a >= 1.0 => 2,
        _ => 3,
    };
    let plain = format!("{v:.places$}");
    let (whole, fraction) = plain.split_once('.').map_or((plain.as_str(), ""), |(w, f)| (w, f));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |d| ("-", d));
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short_and_grouped() {
        let cases = [(0.0, "0"), (0.1234, "0.123"), (9.876, "9.88"), (12.34, "12.3"), (1234567.8, "1,234,568")];
        for (v, expected) in cases {
            assert_eq!(number(v), expected);
        }
        assert_eq!(number(-1234.5), "-1,234");
        assert_eq!(number(f64::NAN), "–");
    }
}
