//! From an input to a topic: takes lines or files as they come, sends what has waited, says what was not written.

use super::interrupt::Interrupt;
use super::lines;
use super::produce::{Producer, ProducerSettings};
use super::reader::{LineReader, Typed};
use crate::client::Client;
use crate::failure::Failure;
use crate::io::Io;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// Where records come from.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Lines of standard input.
    Lines { reader: LineReader, prompts: bool },
    /// Lines of files.
    LinesOf { reader: LineReader, files: Vec<PathBuf> },
    /// Whole files, a record each, with this key and these headers.
    Whole { files: Vec<PathBuf>, like: Typed },
    /// Lines of standard input, each a record in JSON.
    Json,
}

/// How long a user who wants an end waits for it.
const STEP: Duration = Duration::from_millis(100);

/// Writes everything the input has; how many records were written.
///
/// # Errors
/// What keeps the input from being read, or the last reason for which records were not written.
pub(super) fn run(
    client: Client,
    settings: ProducerSettings,
    input: &Input,
    interrupt: &Interrupt,
    io: &mut Io<'_>,
) -> Result<u64, Failure> {
    let topic = settings.topic.clone();
    let mut typing = Typing { producer: Producer::start(client, settings)?, topic, lost: 0, failure: None };
    let read = match input {
        Input::Lines { reader, prompts } => typing.lines(interrupt, *prompts, io, &|line, n| {
            reader.parse(line, n).map(|typed| (typed, None)).map_err(|error| Failure::failed(error.to_string()))
        }),
        Input::Json => typing.lines(interrupt, false, io, &super::json::parse),
        Input::LinesOf { reader, files } => files.iter().try_for_each(|file| typing.file(file, reader, interrupt, io)),
        Input::Whole { files, like } => files.iter().try_for_each(|file| typing.whole(file, like, io)),
    };
    // What was read before a line that cannot be read is written all the same.
    typing.producer.flush();
    typing.report(io);
    read?;
    match typing.failure {
        None => Ok(typing.producer.written()),
        Some(failure) => {
            let text =
                format!("{} of {} records were not written", typing.lost, typing.lost + typing.producer.written());
            Err(Failure { message: text, ..failure })
        }
    }
}

struct Typing {
    producer: Producer,
    topic: String,
    lost: u64,
    failure: Option<Failure>,
}

/// A record, and the timestamp it shall have.
pub(super) type Parsed = Result<(Typed, Option<i64>), Failure>;

impl Typing {
    fn lines(
        &mut self,
        interrupt: &Interrupt,
        prompts: bool,
        io: &mut Io<'_>,
        parse: &dyn Fn(&[u8], u64) -> Parsed,
    ) -> Result<(), Failure> {
        let lines = lines::of_stdin();
        let mut number = 0;
        prompt(prompts, io)?;
        while !interrupt.is_asked() {
            let until = self.producer.next_deadline().map_or(STEP, |at| at.saturating_duration_since(Instant::now()));
            match lines.recv_timeout(until.min(STEP)) {
                Ok(line) => {
                    number += 1;
                    let line = line.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
                    let (typed, timestamp) = parse(&line, number)?;
                    self.producer.send(&typed, timestamp)?;
                    self.producer.poll();
                    self.report(io);
                    prompt(prompts, io)?;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.producer.poll();
                    self.report(io);
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        reader: &LineReader,
        interrupt: &Interrupt,
        io: &mut Io<'_>,
    ) -> Result<(), Failure> {
        let wrong = |error| Failure::failed(format!("{}: {error}", path.display()));
        let file = fs::File::open(path).map_err(wrong)?;
        for (line, number) in lines::Lines::new(BufReader::new(file)).zip(1..) {
            if interrupt.is_asked() {
                return Ok(());
            }
            let line = line.map_err(wrong)?;
            let place = |error| Failure::failed(format!("{}: {error}", path.display()));
            self.producer.send(&reader.parse(&line, number).map_err(place)?, None)?;
            self.producer.poll();
            self.report(io);
        }
        Ok(())
    }

    fn whole(&mut self, path: &Path, like: &Typed, io: &mut Io<'_>) -> Result<(), Failure> {
        let bytes = fs::read(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        self.producer.send(&Typed { value: Some(bytes), ..like.clone() }, None)?;
        self.report(io);
        Ok(())
    }

    /// Says what was lost since the last time.
    fn report(&mut self, io: &mut Io<'_>) {
        for (records, failure) in self.producer.take_lost() {
            let _ =
                writeln!(io.err, "error: {records} records for `{}` were not written: {}", self.topic, failure.message);
            self.lost += records;
            self.failure = Some(failure);
        }
    }
}

fn prompt(prompts: bool, io: &mut Io<'_>) -> Result<(), Failure> {
    if prompts {
        write!(io.out, ">")?;
        io.out.flush()?;
    }
    Ok(())
}
