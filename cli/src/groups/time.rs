//! Moments and durations in the spellings that Kafka's `--to-datetime` and `--by-duration` take.

use thiserror::Error;

/// Why a text is no moment or duration.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TimeError {
    #[error(
        "'{got}' is no moment: expected YYYY-MM-DDThh:mm:ss.sss, with Z or a zone such as +02:00 behind it if it is not UTC"
    )]
    Moment { got: String },
    #[error("'{got}' is no duration: expected PnDTnHnMnS, such as PT1H30M or P7D")]
    Duration { got: String },
}

/// Milliseconds since 1970 of `YYYY-MM-DDThh:mm[:ss[.sss]][Z|±hh[[:]mm]]`; without a zone it is UTC, as in Kafka.
pub(crate) fn moment(text: &str) -> Result<i64, TimeError> {
    parse_moment(text.trim()).ok_or_else(|| TimeError::Moment { got: text.to_owned() })
}

/// A moment as [`moment`] reads it, in UTC to the second.
pub(crate) fn text(ms: i64) -> String {
    const DAY: i64 = 86_400;
    let (days, second) = (ms.div_euclid(1000).div_euclid(DAY), ms.div_euclid(1000).rem_euclid(DAY));
    // No year is longer than that, so the guess is never too late.
    let mut year = 1970 + days.div_euclid(366);
    while days_since_1970(year + 1, 1, 1) <= days {
        year += 1;
    }
    let month = (2..=12).rev().find(|month| days_since_1970(year, *month, 1) <= days).unwrap_or(1);
    let day = days - days_since_1970(year, month, 1) + 1;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn parse_moment(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, zone_ms) = match rest.find(['Z', '+', '-']) {
        Some(at) => (&rest[..at], zone(&rest[at..])?),
        None => (rest, 0),
    };
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (digits(time.next()?)?, digits(time.next()?)?);
    let second_ms = time.next().map_or(Some(0), seconds)?;
    let is_valid = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day) && hour < 24 && minute < 60;
    if !is_valid || second_ms >= 60_000 {
        return None;
    }
    Some(((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second_ms - zone_ms)
}

fn digits(text: &str) -> Option<i64> {
    (!text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Milliseconds of `ss[.fff]`; more digits than three are cut.
fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{fraction:0<3}");
    Some(digits(whole)? * 1000 + digits(&padded[..3])?)
}

/// Milliseconds east of Greenwich.
fn zone(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let plain = text[1..].replace(':', "");
    let (hours, minutes) = match plain.len() {
        1 | 2 => (digits(&plain)?, 0),
        4 => (digits(&plain[..2])?, digits(&plain[2..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let years = before * 365 + before / 4 - before / 100 + before / 400;
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1 - 719_162
}

/// Milliseconds of a duration such as `P1DT2H3M4.5S`, `PT-15M`, `-PT1H`.
pub(crate) fn duration(text: &str) -> Result<i64, TimeError> {
    parse_duration(text.trim()).ok_or_else(|| TimeError::Duration { got: text.to_owned() })
}

fn parse_duration(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (sign, rest) = match upper.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = 0_i64;
    let (mut days, mut time) = (days, time);
    let day = part(&mut days, 'D')?;
    let (hour, minute, second) = (part(&mut time, 'H')?, part(&mut time, 'M')?, part(&mut time, 'S')?);
    if !days.is_empty() || !time.is_empty() {
        return None;
    }
    for (amount_ms, unit) in [(day, 86_400), (hour, 3_600), (minute, 60), (second, 1)] {
        // Only seconds have a fraction.
        if unit != 1 && amount_ms % 1000 != 0 {
            return None;
        }
        total = total.checked_add(amount_ms.checked_mul(unit)?)?;
    }
    total.checked_mul(sign)
}

/// A thousand times the number before `unit`, which is taken off `text`; 0 if the unit is not there.
fn part(text: &mut &str, unit: char) -> Option<i64> {
    let Some((number, rest)) = text.split_once(unit) else { return Some(0) };
    *text = rest;
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => (-1, number),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    Some(sign * seconds(number)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, expect) in [
            ("1970-01-01T00:00:00.000", Some(0)),
            ("2026-11-26T02:08:18.250", Some(1_795_658_898_250)),
            ("2026-11-26T02:08:18.250Z", Some(1_795_658_898_250)),
            ("2026-11-26T04:08:18.250+02:00", Some(1_795_658_898_250)),
            ("2026-11-25T21:08:18.250-0500", Some(1_795_658_898_250)),
            ("2024-02-29T23:59:59", Some(1_709_251_199_000)),
            ("2023-02-29T00:00:00.000", None),
            ("2026-13-01T00:00:00.000", None),
            ("2026-11-26", None),
            ("bogus", None),
            ("2026-11-26T25:00:00", None),
        ] {
            assert_eq!(moment(text).ok(), expect, "{text}");
        }
    }

    #[test]
    fn texts_of_moments_are_read_again() {
        assert_eq!(text(1_795_658_898_250), "2026-11-26T02:08:18Z");
        for at in [0, 951_782_400, 951_868_799, 1_709_164_800, 1_735_689_599, 4_102_444_800, 68_256_000] {
            assert_eq!(moment(&text(at * 1000)), Ok(at * 1000), "{}", text(at * 1000));
        }
    }

    #[test]
    fn durations() {
        for (text, expect) in [
            ("PT1H", Some(3_600_000)),
            ("P1DT2H3M4.5S", Some(93_784_500)),
            ("P7D", Some(604_800_000)),
            ("pt15m", Some(900_000)),
            ("PT-6H3M", Some(-21_420_000)),
            ("-PT1M", Some(-60_000)),
            ("PT0S", Some(0)),
            ("P", None),
            ("PT", None),
            ("P1H", None),
            ("PT1.5H", None),
            ("PT1M1H", None),
            ("1h", None),
        ] {
            assert_eq!(duration(text).ok(), expect, "{text}");
        }
    }
}
