//! From an input to a topic: takes lines or files as they come, sends what has waited, says what was not written.

use super::interrupt::Interrupt;
use super::json;
use super::lines::{Line, Lines};
use super::producer::{Producer, ProducerSettings};
use super::reader::{LineReader, Typed};
use crate::client::Client;
use crate::failure::Failure;
use crate::io::Io;
use crate::progress::{Progress, Signs};
use std::borrow::Cow;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where records come from.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Lines of standard input.
    Lines { reader: LineReader, prompts: bool },
    /// Lines of files.
    LinesOf { reader: LineReader, files: Vec<PathBuf> },
    /// Whole files, a record each, with this key and these headers.
    Whole { files: Vec<PathBuf>, like: Typed<'static> },
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
    let (topic, signs) = (settings.topic.clone(), client.settings().signs);
    let producer = Producer::start(client, settings)?;
    let mut typing = Typing { producer, topic, signs, interrupt, lost: 0, failure: None };
    let read = typing.read(input, io);
    // What was read before a line that cannot be read is written all the same.
    typing.finish(io);
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

struct Typing<'i> {
    producer: Producer,
    topic: String,
    signs: Signs,
    interrupt: &'i Interrupt,
    lost: u64,
    failure: Option<Failure>,
}

/// A record, and the timestamp it shall have.
pub(super) type Parsed<'a> = Result<(Typed<'a>, Option<i64>), Failure>;

/// What lines are.
#[derive(Clone, Copy)]
enum Form<'r> {
    Typed(&'r LineReader),
    Json,
}

impl Form<'_> {
    fn parse<'a>(&'a self, line: &'a [u8], number: u64) -> Parsed<'a> {
        match self {
            Form::Json => json::parse(line, number),
            Form::Typed(reader) => match reader.parse(line, number) {
                Ok(typed) => Ok((typed, None)),
                Err(error) => Err(Failure::failed(error.to_string())),
            },
        }
    }
}

impl Typing<'_> {
    fn read(&mut self, input: &Input, io: &mut Io<'_>) -> Result<(), Failure> {
        match input {
            Input::Lines { reader, prompts } => self.stdin(Form::Typed(reader), *prompts, io),
            Input::Json => self.stdin(Form::Json, false, io),
            Input::LinesOf { reader, files } => files.iter().try_for_each(|file| self.file(file, reader, io)),
            Input::Whole { files, like } => files.iter().try_for_each(|file| self.whole(file, like, io)),
        }
    }

    fn stdin(&mut self, form: Form<'_>, prompts: bool, io: &mut Io<'_>) -> Result<(), Failure> {
        let wrong = |error| Failure::failed(format!("standard input: {error}"));
        let mut lines = Lines::of_stdin(self.producer.record_bytes_max()).map_err(wrong)?;
        self.lines(&mut lines, form, prompts, io, &wrong)
    }

    fn file(&mut self, path: &Path, reader: &LineReader, io: &mut Io<'_>) -> Result<(), Failure> {
        let wrong = |error| Failure::failed(format!("{}: {error}", path.display()));
        let mut lines = Lines::new(File::open(path).map_err(wrong)?, self.producer.record_bytes_max());
        let place =
            |failure: Failure| Failure { message: format!("{}: {}", path.display(), failure.message), ..failure };
        self.lines(&mut lines, Form::Typed(reader), false, io, &wrong).map_err(place)
    }

    /// Takes lines until the end of the input or until the user wants one.
    fn lines(
        &mut self,
        lines: &mut Lines<File>,
        form: Form<'_>,
        prompts: bool,
        io: &mut Io<'_>,
        wrong: &dyn Fn(std::io::Error) -> Failure,
    ) -> Result<(), Failure> {
        let mut number = 0;
        prompt(prompts, io)?;
        while !self.interrupt.is_asked() && !lines.is_done() {
            while let Some(line) = lines.next() {
                number += 1;
                self.line(line, form, number)?;
                self.make_room(io);
                prompt(prompts, io)?;
            }
            self.producer.pump();
            self.report(io);
            if self.producer.wait(Some(lines.fd()), STEP) {
                lines.read().map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: Line<'_>, form: Form<'_>, number: u64) -> Result<(), Failure> {
        match line {
            Line::TooLong(bytes) => self.producer.too_large(bytes),
            Line::Whole(bytes) => {
                let (typed, timestamp) = form.parse(bytes, number)?;
                self.producer.send(&typed, timestamp);
            }
        }
        Ok(())
    }

    fn whole(&mut self, path: &Path, like: &Typed<'static>, io: &mut Io<'_>) -> Result<(), Failure> {
        let bytes = fs::read(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        self.producer.send(&Typed { value: Some(Cow::Owned(bytes)), ..like.clone() }, None);
        self.make_room(io);
        self.report(io);
        Ok(())
    }

    /// Waits until another record may be given: what waits is bounded, and with `--sync` nothing may.
    fn make_room(&mut self, io: &mut Io<'_>) {
        if self.producer.has_room() {
            return;
        }
        let _progress = Progress::begin(self.signs, format!("waiting until `{}` takes more", self.topic));
        while !self.producer.has_room() {
            self.step(io);
        }
    }

    /// Waits until everything was written or given up.
    fn finish(&mut self, io: &mut Io<'_>) {
        self.producer.complete();
        if !self.producer.is_idle() {
            let count = self.producer.waiting();
            let text = format!("{count} records wait to be written to `{}`; Ctrl-C gives them up", self.topic);
            let _progress = Progress::begin(self.signs, text);
            while !self.producer.is_idle() {
                self.step(io);
            }
        }
        self.report(io);
    }

    fn step(&mut self, io: &mut Io<'_>) {
        self.producer.pump();
        self.report(io);
        self.producer.wait(None, STEP);
    }

    /// Says what was lost since the last time, and what else there is to know.
    fn report(&mut self, io: &mut Io<'_>) {
        for notice in self.producer.take_notices() {
            io.notice(notice);
        }
        for (records, failure) in self.producer.take_lost() {
            let what = if records == 1 { "1 record for".to_owned() } else { format!("{records} records for") };
            let verb = if records == 1 { "was" } else { "were" };
            let _ = writeln!(io.err, "error: {what} `{}` {verb} not written: {}", self.topic, failure.message);
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
