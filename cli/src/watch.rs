//! `--watch`: the same look again and again until Ctrl-C. On a terminal each picture takes the place of the one before; elsewhere
//! they follow each other, each under its moment.

use crate::console::interrupt::Interrupt;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use clap::Args;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often to look.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WatchArgs {
    /// Look again every so many seconds (2 if none are named) until Ctrl-C.
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = seconds)]
    watch: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "expected seconds from 0.1 to 86400, such as 2".to_owned();
    let value: f64 = text.parse().map_err(|_| wrong())?;
    if (0.1..=86_400.0).contains(&value) { Ok(Duration::from_secs_f64(value)) } else { Err(wrong()) }
}

/// Pause between two questions whether the user wants an end.
const STEP: Duration = Duration::from_millis(50);
/// The cursor goes to the first place.
const HOME: &[u8] = b"\x1b[H";
/// What is right of the cursor goes away.
const CLEAR_LINE: &[u8] = b"\x1b[K";
/// What is below the cursor goes away.
const CLEAR_BELOW: &[u8] = b"\x1b[J";

impl WatchArgs {
    /// Looks once, or until Ctrl-C. `look` writes a whole picture; `is_document` when nothing may stand between two of them.
    pub(crate) fn run(
        &self,
        is_document: bool,
        io: &mut Io<'_>,
        mut look: impl FnMut(&mut Io<'_>) -> Outcome,
    ) -> Outcome {
        let Some(every) = self.watch else { return look(io) };
        let interrupt = Interrupt::watch();
        let on_terminal = std::io::stdout().is_terminal() && !is_document;
        let mut is_first = true;
        while !interrupt.is_asked() {
            let begun = Instant::now();
            match picture(io, &mut look) {
                Ok(picture) => show(&picture, on_terminal, is_document, io)?,
                // What was looked at may come back: a broker that starts again, a coordinator that moves.
                Err(failure) if !is_first && may_pass(&failure) => io.notice(failure),
                Err(failure) => return Err(failure),
            }
            is_first = false;
            while begun.elapsed() < every && !interrupt.is_asked() {
                std::thread::sleep(STEP.min(every));
            }
        }
        Ok(())
    }
}

fn may_pass(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Unreachable | Exit::TimedOut | Exit::Failed)
}

/// A whole picture, or none: half of one would stand there until the next.
fn picture(io: &mut Io<'_>, look: &mut impl FnMut(&mut Io<'_>) -> Outcome) -> Result<Vec<u8>, Failure> {
    let mut picture = Vec::new();
    look(&mut Io { out: &mut picture, err: io.err, watched: io.watched })?;
    Ok(picture)
}

fn show(picture: &[u8], on_terminal: bool, is_document: bool, io: &mut Io<'_>) -> Outcome {
    if on_terminal {
        io.out.write_all(HOME)?;
        for line in picture.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            io.out.write_all(&[text, CLEAR_LINE, b"\r\n"].concat())?;
        }
        io.out.write_all(CLEAR_BELOW)?;
    } else {
        if !is_document {
            writeln!(io.out, "{}", crate::groups::moment_text(crate::groups::now_ms()))?;
        }
        io.out.write_all(picture)?;
    }
    Ok(io.out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(on_terminal: bool, is_document: bool) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut io = Io { out: &mut out, err: &mut err, watched: false };
        show(b"a\nb\n", on_terminal, is_document, &mut io).expect("a buffer");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_terminal_is_drawn_over_and_a_pipe_is_appended_to() {
        assert_eq!(shown(true, false), "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J");
        assert!(shown(false, false).ends_with("Z\na\nb\n"), "{}", shown(false, false));
        assert_eq!(shown(false, true), "a\nb\n");
    }

    #[test]
    fn of_a_picture_that_fails_nothing_is_shown() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut io = Io { out: &mut out, err: &mut err, watched: false };
        let mut look = |io: &mut Io<'_>| {
            writeln!(io.out, "half")?;
            Err(Failure::failed("the rest is missing"))
        };
        assert!(picture(&mut io, &mut look).is_err());
        let outcome = WatchArgs::default().run(false, &mut io, |io| Ok(writeln!(io.out, "once")?));
        assert!(outcome.is_ok());
        assert_eq!(String::from_utf8(out).expect("text"), "once\n");
    }

    #[test]
    fn seconds_and_what_is_none() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "x", "-1", "1e9", "NaN", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
