//! `kafka-console-consumer`: Kafka 4.3.1's options and output.
//!
//! Deviations: without `--group` it reads as nobody's member, so that no group is left behind and nobody waits for a rebalance;
//! notices about old options go to standard error, where Kafka's tool puts them into the output; a partition that does not
//! exist, an output that cannot be decoded and the like end with another code than 0.

use super::consume::{self, Bound, Plan, Reset, Sink, Source};
use super::consumer_keys as keys;
use super::format::{Formatter, WriteError};
use super::interrupt::Interrupt;
use super::keys::{Keys, from_file_and_options};
use super::record::Consumed;
use crate::client::{At, Client};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::KafkaArgs;
use crate::topic_filter::TopicFilter;
use clap::Args;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// The options of `kafka-console-consumer`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct ConsumerArgs {
    #[command(flatten)]
    cluster: KafkaArgs,
    /// The topic to read.
    #[arg(long, value_name = "TOPIC", allow_hyphen_values = true)]
    topic: Option<String>,
    /// Topics whose whole name matches, also those that come later.
    #[arg(long, alias = "whitelist", value_name = "REGEX", allow_hyphen_values = true)]
    include: Option<String>,
    /// Read as a member of this group, which remembers how far it came.
    #[arg(long, value_name = "GROUP", allow_hyphen_values = true)]
    group: Option<String>,
    /// Begin with the oldest record, unless the group has committed an offset.
    #[arg(long)]
    from_beginning: bool,
    /// Read this partition only.
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// Where to begin in the partition: an offset, earliest or latest [default: latest].
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    offset: Option<String>,
    /// Stop after so many records.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_messages: Option<i64>,
    /// Stop when no record came for so many milliseconds.
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    timeout_ms: Option<i64>,
    /// read_committed leaves out records of open and aborted transactions [default: read_uncommitted].
    #[arg(long, value_name = "LEVEL")]
    isolation_level: Option<String>,
    /// Go on behind a record that cannot be printed.
    #[arg(long)]
    skip_message_on_error: bool,
    /// How records are printed: DefaultMessageFormatter, LoggingMessageFormatter, NoOpMessageFormatter,
    /// OffsetsMessageFormatter, GroupMetadataMessageFormatter.
    #[arg(long, value_name = "CLASS")]
    formatter: Option<String>,
    /// print.key=true, print.timestamp=true, key.separator=…, null.literal=… and so on; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    formatter_property: Vec<String>,
    /// A file of such properties.
    #[arg(long, value_name = "FILE")]
    formatter_config: Option<PathBuf>,
    /// How keys become text: StringDeserializer, LongDeserializer, UUIDDeserializer and so on.
    #[arg(long, value_name = "CLASS")]
    key_deserializer: Option<String>,
    /// How values become text.
    #[arg(long, value_name = "CLASS")]
    value_deserializer: Option<String>,
    /// A setting of the consumer; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    command_property: Vec<String>,
    /// Print `shutdown_complete` at the end.
    #[arg(long)]
    enable_systest_events: bool,
    /// The older spelling of --formatter-property.
    #[arg(long, value_name = "KEY=VALUE", hide = true, allow_hyphen_values = true)]
    property: Vec<String>,
    /// The older spelling of --command-property.
    #[arg(long, value_name = "KEY=VALUE", hide = true, allow_hyphen_values = true)]
    consumer_property: Vec<String>,
    /// The older spelling of --command-config.
    #[arg(long = "consumer.config", value_name = "FILE", hide = true)]
    consumer_config: Option<PathBuf>,
    /// Of the time when there were two consumers.
    #[arg(long, hide = true)]
    new_consumer: bool,
}

/// Runs the tool.
pub fn run(args: &ConsumerArgs, io: &mut Io<'_>) -> Outcome {
    if args.cluster.version {
        return crate::applet::print_version(io);
    }
    let interrupt = Interrupt::watch();
    args.check(io)?;
    let mut cluster = args.cluster.clone();
    cluster.command_config = cluster.command_config.or(args.consumer_config.clone());
    let (mut settings, file) = cluster.settings(io, keys::KNOWN)?;
    let properties = [args.consumer_property.as_slice(), args.command_property.as_slice()].concat();
    let file_group = file.iter().rev().find(|entry| entry.key == "group.id").map(|entry| entry.value.clone());
    let keys = Keys::new(file, &properties, &mut settings, keys::KNOWN, io)?;
    if settings.client_id == crate::client::Settings::default().client_id {
        "console-consumer".clone_into(&mut settings.client_id);
    }
    let plan = args.plan(&keys, file_group)?;
    let formatter = args.formatter()?;
    let client = Client::connect(settings)?;
    let mut printer = Printer { formatter, io, skips: args.skip_message_on_error, count: 0, is_closed: false };
    let outcome = consume::run(client, plan, &interrupt, &mut printer);
    let count = printer.count;
    io.out.flush().or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
    let _ = writeln!(io.err, "Processed a total of {count} messages");
    if args.enable_systest_events {
        writeln!(io.out, "shutdown_complete")?;
    }
    outcome
}

impl ConsumerArgs {
    fn check(&self, io: &mut Io<'_>) -> Outcome {
        let old = [
            (!self.property.is_empty(), "--property", "--formatter-property"),
            (!self.consumer_property.is_empty(), "--consumer-property", "--command-property"),
            (self.consumer_config.is_some(), "--consumer.config", "--command-config"),
        ];
        for (_, old, new) in old.into_iter().filter(|(is_given, ..)| *is_given) {
            io.notice(format!("{old} is an older spelling of {new}"));
        }
        if self.topic.is_some() == self.include.is_some() {
            return Err(Failure::usage("exactly one of --topic and --include is needed"));
        }
        if self.partition.is_some() && self.topic.is_none() {
            return Err(Failure::usage("--partition needs --topic"));
        }
        if self.offset.is_some() && self.partition.is_none() {
            return Err(Failure::usage("--offset needs --partition"));
        }
        if self.offset.is_some() && self.from_beginning {
            return Err(Failure::usage("--from-beginning and --offset exclude each other"));
        }
        if self.consumer_config.is_some() && self.cluster.command_config.is_some() {
            return Err(Failure::usage("--consumer.config and --command-config exclude each other"));
        }
        Ok(())
    }

    fn plan(&self, keys: &Keys, file_group: Option<String>) -> Result<Plan, Failure> {
        let group = self.group_id(keys, file_group)?;
        let isolation = self.isolation_level.as_deref().or(keys.text("isolation.level")).unwrap_or("read_uncommitted");
        let in_group = group.is_some();
        Ok(Plan {
            source: self.source()?,
            from: self.partition.map(|_| self.begin()).transpose()?,
            until: None,
            reset: self.reset(keys)?,
            group: group.map(|group| keys::group(keys, group)).transpose()?,
            auto_commit: keys::auto_commit(keys, in_group)?,
            limits: keys::limits(keys, keys::isolation(isolation)?)?,
            max_messages: self.max_messages.and_then(|max| u64::try_from(max).ok()),
            timeout: self.timeout_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis),
            metadata_max_age: keys.millis("metadata.max.age.ms")?.unwrap_or(Duration::from_secs(300)),
            auto_create: keys.is("allow.auto.create.topics")?.unwrap_or(true),
        })
    }

    /// The group, which may be named in three places that must agree.
    fn group_id(&self, keys: &Keys, file: Option<String>) -> Result<Option<String>, Failure> {
        let named = [self.group.clone(), keys.text("group.id").map(str::to_owned), file];
        let mut named: Vec<String> = named.into_iter().flatten().collect();
        named.dedup();
        if named.len() > 1 {
            let text =
                format!("--group, --command-property and --command-config name different groups: {}", named.join(", "));
            return Err(Failure::usage(text));
        }
        if !named.is_empty() && self.partition.is_some() {
            return Err(Failure::usage(
                "--group and --partition exclude each other: a group divides partitions itself",
            ));
        }
        Ok(named.pop())
    }

    fn source(&self) -> Result<Source, Failure> {
        Ok(match (&self.topic, self.partition, &self.include) {
            (Some(topic), Some(partition), _) => Source::Partition((topic.clone(), partition)),
            (Some(topic), None, _) => Source::Topics(vec![topic.clone()]),
            (None, _, include) => {
                Source::Matching(TopicFilter::new("--include", include.as_deref().unwrap_or_default())?)
            }
        })
    }

    fn begin(&self) -> Result<Bound, Failure> {
        match self.offset.as_deref().map(str::to_lowercase).as_deref() {
            None if self.from_beginning => Ok(Bound::At(At::Earliest)),
            None | Some("latest") => Ok(Bound::At(At::Latest)),
            Some("earliest") => Ok(Bound::At(At::Earliest)),
            Some(text) => match text.parse() {
                Ok(offset) if offset >= 0 => Ok(Bound::Offset(offset)),
                _ => Err(Failure::usage(format!("--offset {text}: expected earliest, latest or an offset, 0 or more"))),
            },
        }
    }

    fn reset(&self, keys: &Keys) -> Result<Reset, Failure> {
        match keys::reset(keys)? {
            Some(reset) if self.from_beginning && reset != Reset::Earliest => {
                Err(Failure::usage("--from-beginning contradicts auto.offset.reset; leave out one of them"))
            }
            Some(reset) => Ok(reset),
            None if self.from_beginning => Ok(Reset::Earliest),
            None => Ok(Reset::Latest),
        }
    }

    fn formatter(&self) -> Result<Formatter, Failure> {
        let classes = [("key.deserializer", &self.key_deserializer), ("value.deserializer", &self.value_deserializer)];
        let classes: Vec<String> =
            classes.iter().filter_map(|(key, class)| class.as_ref().map(|class| format!("{key}={class}"))).collect();
        let options: [&[String]; 3] = [&classes, &self.property, &self.formatter_property];
        let properties = from_file_and_options(self.formatter_config.as_deref(), &options)?;
        Formatter::new(self.formatter.as_deref(), &properties).map_err(|error| Failure::usage(error.to_string()))
    }
}

/// Puts records on the outputs.
pub(super) struct Printer<'p, 'io> {
    pub(super) formatter: Formatter,
    pub(super) io: &'p mut Io<'io>,
    /// Whether a record that cannot be printed is passed over.
    pub(super) skips: bool,
    pub(super) count: u64,
    /// Nobody reads the output any more, and that was said.
    pub(super) is_closed: bool,
}

impl Printer<'_, '_> {
    fn is_left(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            let _ = writeln!(self.io.err, "Unable to write to standard out, closing consumer.");
        }
    }
}

impl Sink for Printer<'_, '_> {
    fn take(&mut self, record: &Consumed<'_>) -> Result<bool, Failure> {
        self.count += 1;
        match self.formatter.write(record, self.io.out, self.io.err) {
            Ok(()) => Ok(true),
            Err(WriteError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_left();
                Ok(false)
            }
            Err(WriteError::Output(error)) => Err(error.into()),
            Err(error) if self.skips => {
                self.io.notice(format!("{error}; passed over"));
                Ok(true)
            }
            Err(error) => {
                Err(Failure::failed(error.to_string()).hint("--skip-message-on-error passes such records over"))
            }
        }
    }

    fn flush(&mut self) -> Result<bool, Failure> {
        match self.io.out.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_left();
                Ok(false)
            }
            Ok(()) if crate::io::nobody_reads() => {
                self.is_left();
                Ok(false)
            }
            outcome => Ok(outcome.map(|()| true)?),
        }
    }

    fn notice(&mut self, text: String) {
        self.io.notice(text);
    }
}
