//! `ringlog produce` and `ringlog consume`.

use super::consume::{self, Bound, Plan, Reset, Sink, Source};
use super::format::Formatter;
use super::interrupt::Interrupt;
use super::kafka_consumer::Printer;
use super::keys::Keys;
use super::producer::ProducerSettings;
use super::reader::{LineReader, Typed};
use super::record::Consumed;
use super::typing::{self, Input};
use super::{consumer_keys, json, kafka_producer};
use crate::client::{At, Client};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::ClusterArgs;
use crate::topic_filter::TopicFilter;
use clap::{Args, ValueEnum};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

/// `ringlog produce`.
#[derive(Clone, Debug, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct ProduceArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The topic to write to.
    topic: String,
    /// Files whose lines are written; standard input if there is none.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Each file is one record.
    #[arg(long, requires = "files")]
    whole: bool,
    /// The key of every record.
    #[arg(short, long, value_name = "KEY", conflicts_with = "key_separator")]
    key: Option<String>,
    /// A header of every record; may be repeated.
    #[arg(short = 'H', long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// Lines are keys and values with this between them.
    #[arg(short = 'K', long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// What stands for null, as key or value.
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// text for lines, json for what `ringlog consume --output json` prints.
    #[arg(long, value_enum, default_value_t)]
    input: Form,
    /// The partition; by key, or any, if it is left out.
    #[arg(short, long, value_name = "N")]
    partition: Option<i32>,
    /// none, gzip, snappy, lz4 or zstd.
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none")]
    compression: String,
    /// all, 1 or 0.
    #[arg(long, value_name = "ACKS", default_value = "all")]
    acks: String,
    /// Milliseconds that a record waits for others to go with it.
    #[arg(long, value_name = "MS", default_value_t = 5)]
    linger: u64,
}

/// How records look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line each.
    #[default]
    Text,
    /// A line of JSON each.
    Json,
}

/// Runs `ringlog produce`.
pub fn produce(args: &ProduceArgs, io: &mut Io<'_>) -> Outcome {
    let interrupt = Interrupt::watch();
    let (client, _) = args.cluster.settings(io, &[])?;
    let settings = args.settings(client.request_timeout)?;
    let input = args.input()?;
    let written = typing::run(Client::connect(client)?, settings, &input, &interrupt, io)?;
    let what = if written == 1 { "record" } else { "records" };
    let _ = writeln!(io.err, "{written} {what} written to {}", args.topic);
    Ok(())
}

impl ProduceArgs {
    fn settings(&self, request_timeout: Duration) -> Result<ProducerSettings, Failure> {
        let acks = kafka_producer::parse_acks(&self.acks)?;
        Ok(ProducerSettings {
            topic: self.topic.clone(),
            partition: self.partition,
            acks,
            codec: kafka_producer::parse_codec(&self.compression)?,
            batch_size: 64 << 10,
            linger: Duration::from_millis(self.linger),
            retries: u32::MAX,
            retry_backoff: Duration::from_millis(100),
            request_timeout,
            delivery_timeout: request_timeout,
            max_block: request_timeout,
            metadata_max_age: Duration::from_secs(300),
            max_request_size: 100 << 20,
            buffer_memory: 32 << 20,
            in_flight_max: kafka_producer::IN_FLIGHT_MAX,
            idempotent: acks == -1,
            sync: false,
        })
    }

    fn input(&self) -> Result<Input, Failure> {
        let fixed = self.key.is_some() || !self.header.is_empty();
        if self.input == Form::Json {
            if fixed || self.key_separator.is_some() || !self.files.is_empty() {
                return Err(Failure::usage(
                    "--input json reads standard input, and each line says key and headers itself",
                ));
            }
            return Ok(Input::Json);
        }
        let like = self.like()?;
        if self.whole {
            return Ok(Input::Whole { files: self.files.clone(), like });
        }
        let reader = self.reader()?.like(like);
        if self.files.is_empty() {
            let prompts = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
            return Ok(Input::Lines { reader, prompts });
        }
        Ok(Input::LinesOf { reader, files: self.files.clone() })
    }

    fn like(&self) -> Result<Typed<'static>, Failure> {
        let header = |text: &String| {
            let (name, value) =
                text.split_once('=').ok_or_else(|| Failure::usage(format!("--header {text}: expected NAME=VALUE")))?;
            Ok((Cow::Owned(name.to_owned()), Some(Cow::Owned(value.as_bytes().to_vec()))))
        };
        let headers = self.header.iter().map(header).collect::<Result<_, Failure>>()?;
        Ok(Typed { key: self.key.as_ref().map(|key| Cow::Owned(key.clone().into_bytes())), value: None, headers })
    }

    fn reader(&self) -> Result<LineReader, Failure> {
        let mut properties = BTreeMap::new();
        if let Some(separator) = &self.key_separator {
            properties.insert("parse.key".to_owned(), "true".to_owned());
            properties.insert("key.separator".to_owned(), separator.clone());
        }
        if let Some(null) = &self.null {
            properties.insert("null.marker".to_owned(), null.clone());
        }
        LineReader::new(&properties).map_err(|error| Failure::usage(error.to_string()))
    }
}

/// `ringlog consume`.
#[derive(Clone, Debug, Args)]
#[command(after_help = concat!(
    "Offsets: start, end, an offset, +N behind the start, -N before the end, @MOMENT or @-DURATION (@-PT1H);\n",
    "FROM:TO reads up to TO, :end up to where the topic ends now.",
))]
pub struct ConsumeArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The topics to read.
    #[arg(value_name = "TOPIC", required_unless_present = "pattern")]
    topics: Vec<String>,
    /// Topics whose whole name matches, also those that come later.
    #[arg(long = "match", value_name = "REGEX", conflicts_with = "topics")]
    pattern: Option<String>,
    /// Read as a member of this group, which remembers how far it came.
    #[arg(short, long, value_name = "GROUP", conflicts_with = "partition")]
    group: Option<String>,
    /// Read this partition only.
    #[arg(short, long, value_name = "N")]
    partition: Option<i32>,
    /// Where to begin, and after a colon where to stop [default: start; end for a group].
    #[arg(short = 's', long, value_name = "FROM[:TO]", allow_hyphen_values = true)]
    offset: Option<String>,
    /// Stop after so many records.
    #[arg(short = 'n', long, value_name = "N")]
    max: Option<u64>,
    /// Stop where the topic ends now; the same as --offset FROM:end.
    #[arg(short, long)]
    exit: bool,
    /// Stop when no record came for so many milliseconds.
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// Columns before the value: key, partition, offset, timestamp, headers.
    #[arg(short, long, value_name = "COLUMN,…", value_delimiter = ',')]
    with: Vec<String>,
    /// Leave out records of open and aborted transactions.
    #[arg(long)]
    committed: bool,
    /// A setting of the consumer; may be repeated.
    #[arg(short = 'X', long, value_name = "KEY=VALUE")]
    property: Vec<String>,
    /// How records are printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// Runs `ringlog consume`.
pub fn consume(args: &ConsumeArgs, io: &mut Io<'_>) -> Outcome {
    let interrupt = Interrupt::watch();
    let (mut settings, file) = args.cluster.settings(io, consumer_keys::KNOWN)?;
    let keys = Keys::new(file, &args.property, &mut settings, consumer_keys::KNOWN, io)?;
    let plan = args.plan(&keys)?;
    let formatter = args.formatter()?;
    let client = Client::connect(settings)?;
    let printer = Printer { formatter, io, skips: false, count: 0, is_closed: false };
    match args.output {
        Form::Text => consume::run(client, plan, &interrupt, &mut { printer }),
        Form::Json => consume::run(client, plan, &interrupt, &mut Lines { printer }),
    }
}

impl ConsumeArgs {
    fn plan(&self, keys: &Keys) -> Result<Plan, Failure> {
        let (from, until) = self.bounds()?;
        let isolation =
            if self.committed { "read_committed" } else { keys.text("isolation.level").unwrap_or("read_uncommitted") };
        let group = self.group.clone().or(keys.text("group.id").map(str::to_owned));
        let in_group = group.is_some();
        let reset = consumer_keys::reset(keys)?.unwrap_or(if in_group { Reset::Latest } else { Reset::Earliest });
        Ok(Plan {
            source: self.source()?,
            from,
            until,
            reset,
            group: group.map(|group| consumer_keys::group(keys, group)).transpose()?,
            auto_commit: consumer_keys::auto_commit(keys, in_group)?,
            limits: consumer_keys::limits(keys, consumer_keys::isolation(isolation)?)?,
            max_messages: self.max,
            timeout: self.timeout.map(Duration::from_millis),
            metadata_max_age: keys.millis("metadata.max.age.ms")?.unwrap_or(Duration::from_secs(300)),
            auto_create: keys.is("allow.auto.create.topics")?.unwrap_or(false),
        })
    }

    fn source(&self) -> Result<Source, Failure> {
        match (&self.pattern, self.partition, self.topics.as_slice()) {
            (Some(pattern), None, _) => Ok(Source::Matching(TopicFilter::new("--match", pattern)?)),
            (None, Some(partition), [topic]) => Ok(Source::Partition((topic.clone(), partition))),
            (_, Some(_), _) => Err(Failure::usage("--partition needs exactly one topic")),
            (None, None, topics) => Ok(Source::Topics(topics.to_vec())),
        }
    }

    fn bounds(&self) -> Result<(Option<Bound>, Option<Bound>), Failure> {
        let (from, until) = match self.offset.as_deref() {
            None => (None, None),
            Some(text) => range(text)?,
        };
        if self.exit && until.is_some() {
            return Err(Failure::usage("--exit and an offset to stop at exclude each other"));
        }
        Ok((from, until.or(self.exit.then_some(Bound::At(At::Latest)))))
    }

    fn formatter(&self) -> Result<Formatter, Failure> {
        let columns = ["key", "partition", "offset", "timestamp", "headers"];
        let mut properties = BTreeMap::new();
        for column in &self.with {
            if !columns.contains(&column.as_str()) {
                let text = format!("--with {column}: expected {}", columns.join(", "));
                return Err(Failure::usage(text).did_you_mean(column, columns));
            }
            properties.insert(format!("print.{column}"), "true".to_owned());
        }
        Formatter::new(None, &properties).map_err(|error| Failure::usage(error.to_string()))
    }
}

/// `FROM:TO`. Moments hold colons, so that the one between the two is the first that is not a moment's.
fn range(text: &str) -> Result<(Option<Bound>, Option<Bound>), Failure> {
    let one = |text: &str| if text.is_empty() { Ok(None) } else { bound(text).map(Some) };
    if let Ok(from) = one(text) {
        return Ok((from, None));
    }
    let mut last = None;
    for (at, _) in text.match_indices(':') {
        match (one(&text[..at]), one(&text[at + 1..])) {
            (Ok(from), Ok(until)) => return Ok((from, until)),
            (Err(failure), _) | (_, Err(failure)) => last = Some(failure),
        }
    }
    Err(last.unwrap_or_else(|| wrong_bound(text)))
}

fn wrong_bound(text: &str) -> Failure {
    Failure::usage(format!("--offset {text}: expected start, end, an offset, +N, -N, @MOMENT or @-DURATION"))
}

fn bound(text: &str) -> Result<Bound, Failure> {
    let number = |digits: &str| digits.parse::<i64>().ok().filter(|n| *n >= 0).ok_or_else(|| wrong_bound(text));
    Ok(match text {
        "start" | "earliest" => Bound::At(At::Earliest),
        "end" | "latest" => Bound::At(At::Latest),
        _ => match (text.chars().next(), text.get(1..).unwrap_or_default()) {
            (Some('+'), rest) => Bound::AfterBegin(number(rest)?),
            (Some('-'), rest) => Bound::BeforeEnd(number(rest)?),
            (Some('@'), rest) => {
                Bound::At(At::Time(crate::groups::moment_or_ago(rest).ok_or_else(|| wrong_bound(text))?))
            }
            _ => Bound::Offset(number(text)?),
        },
    })
}

/// Prints records as JSON.
struct Lines<'p, 'io> {
    printer: Printer<'p, 'io>,
}

impl Sink for Lines<'_, '_> {
    fn take(&mut self, record: &Consumed<'_>) -> Result<bool, Failure> {
        match writeln!(self.printer.io.out, "{}", json::line(record)) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            outcome => Ok(outcome.map(|()| true)?),
        }
    }

    fn flush(&mut self) -> Result<bool, Failure> {
        self.printer.flush()
    }

    fn notice(&mut self, text: String) {
        self.printer.notice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_ranges() {
        let (start, end) = (Bound::At(At::Earliest), Bound::At(At::Latest));
        for (text, expect) in [
            ("start", (Some(start), None)),
            ("start:end", (Some(start), Some(end))),
            (":end", (None, Some(end))),
            ("10:20", (Some(Bound::Offset(10)), Some(Bound::Offset(20)))),
            ("-5", (Some(Bound::BeforeEnd(5)), None)),
            ("+5", (Some(Bound::AfterBegin(5)), None)),
            ("@1970-01-01T00:00:01", (Some(Bound::At(At::Time(1000))), None)),
            (
                "@1970-01-01T00:00:01:@1970-01-01T00:00:02Z",
                (Some(Bound::At(At::Time(1000))), Some(Bound::At(At::Time(2000)))),
            ),
        ] {
            assert_eq!(range(text).expect("good"), expect, "{text}");
        }
        assert!(matches!(range("@-PT1H").expect("good").0, Some(Bound::At(At::Time(_)))));
        for wrong in ["soon", "5:soon", "--5", "@", "+-5"] {
            assert_eq!(range(wrong).expect_err("wrong").exit, crate::exit::Exit::Usage, "{wrong}");
        }
    }
}
