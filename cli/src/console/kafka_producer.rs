//! `kafka-console-producer`: Kafka 4.3.1's options.
//!
//! Deviations: a record that was not written, for which Kafka's tool leaves a line in its log and ends with 0, ends with
//! another code and a reason; an unreachable broker is said after 3 s, not 60; notices about old options go to standard error.

use super::keys::{Keys, from_file_and_options};
use super::producer::ProducerSettings;
use super::reader::LineReader;
use super::typing::{self, Input};
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::KafkaArgs;
use clap::Args;
use protocol::compress::Codec;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// The options of `kafka-console-producer`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct ProducerArgs {
    #[command(flatten)]
    cluster: KafkaArgs,
    /// The topic to write to.
    #[arg(long, value_name = "TOPIC", allow_hyphen_values = true)]
    topic: Option<String>,
    /// Write each line by itself, acknowledged before the next.
    #[arg(long)]
    sync: bool,
    /// none, gzip, snappy, lz4 or zstd; gzip if none is named.
    #[arg(long, value_name = "CODEC", num_args = 0..=1, default_missing_value = "gzip")]
    compression_codec: Option<String>,
    /// Bytes of a batch for one partition [default: 16384].
    #[arg(long, value_name = "BYTES")]
    batch_size: Option<usize>,
    /// How often to try again [default: 3].
    #[arg(long, value_name = "N")]
    message_send_max_retries: Option<u32>,
    /// Milliseconds before each retry [default: 100].
    #[arg(long, value_name = "MS")]
    retry_backoff_ms: Option<u64>,
    /// Milliseconds that a line waits for others to go with it [default: 1000].
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// Who acknowledges: all, -1 (the same), 1 for the leader, 0 for nobody [default: -1].
    #[arg(long, value_name = "ACKS", allow_hyphen_values = true)]
    request_required_acks: Option<String>,
    /// Milliseconds that the broker has to acknowledge [default: 1500].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    request_timeout_ms: Option<u64>,
    /// Milliseconds after which leaders are looked for anew [default: 300000].
    #[arg(long, value_name = "MS")]
    metadata_expiry_ms: Option<u64>,
    /// Milliseconds to wait for the topic [default: 60000].
    #[arg(long, value_name = "MS")]
    max_block_ms: Option<u64>,
    /// Bytes that may wait to be sent [default: 33554432].
    #[arg(long, value_name = "BYTES")]
    max_memory_bytes: Option<usize>,
    /// The older spelling of --batch-size.
    #[arg(long, value_name = "BYTES", hide = true)]
    max_partition_memory_bytes: Option<usize>,
    /// No effect: the kernel sizes its buffers.
    #[arg(long, value_name = "BYTES", hide = true)]
    socket_buffer_size: Option<u64>,
    /// How lines are read: LineMessageReader is the only one.
    #[arg(long, value_name = "CLASS")]
    line_reader: Option<String>,
    /// parse.key=true, key.separator=…, parse.headers=true, null.marker=… and so on; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    reader_property: Vec<String>,
    /// A file of such properties.
    #[arg(long, value_name = "FILE")]
    reader_config: Option<PathBuf>,
    /// A setting of the producer; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    command_property: Vec<String>,
    /// The older spelling of --bootstrap-server.
    #[arg(long, value_name = "HOST:PORT,…", hide = true)]
    broker_list: Option<String>,
    /// The older spelling of --reader-property.
    #[arg(long, value_name = "KEY=VALUE", hide = true, allow_hyphen_values = true)]
    property: Vec<String>,
    /// The older spelling of --command-property.
    #[arg(long, value_name = "KEY=VALUE", hide = true, allow_hyphen_values = true)]
    producer_property: Vec<String>,
    /// The older spelling of --command-config.
    #[arg(long = "producer.config", value_name = "FILE", hide = true)]
    producer_config: Option<PathBuf>,
}

/// The keys that have an effect here, besides those of every client.
const KNOWN: &[&str] = &[
    "acks",
    "batch.size",
    "buffer.memory",
    "compression.type",
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.request.size",
    "metadata.max.age.ms",
    "request.timeout.ms",
    "retries",
    "retry.backoff.ms",
];

/// Requests on their way to one broker; an idempotent producer may not have more, because brokers remember so many batches.
pub(super) const IN_FLIGHT_MAX: usize = 5;

/// The only reader.
const READER: &str = "LineMessageReader";

/// Runs the tool.
pub fn run(args: &ProducerArgs, io: &mut Io<'_>) -> Outcome {
    if args.cluster.version {
        return crate::applet::print_version(io);
    }
    let interrupt = super::interrupt::Interrupt::watch();
    args.notices(io);
    let topic = args.topic.clone().ok_or_else(|| Failure::usage("--topic is missing"))?;
    let reader = args.reader()?;
    let mut cluster = args.cluster.clone();
    cluster.bootstrap_server = cluster.bootstrap_server.or(args.broker_list.clone());
    cluster.command_config = cluster.command_config.or(args.producer_config.clone());
    let (mut client, file) = cluster.settings(io, KNOWN)?;
    let properties = [args.producer_property.as_slice(), args.command_property.as_slice()].concat();
    let keys = Keys::new(file, &properties, &mut client, KNOWN, io)?;
    if client.client_id == crate::client::Settings::default().client_id {
        "console-producer".clone_into(&mut client.client_id);
    }
    let settings = args.settings(topic, &keys)?;
    let client = Client::connect(client)?;
    // As Kafka's tool: a person at a terminal gets a prompt, a pipe does not.
    let prompts = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    typing::run(client, settings, &Input::Lines { reader, prompts }, &interrupt, io).map(|_| ())
}

impl ProducerArgs {
    fn notices(&self, io: &mut Io<'_>) {
        let old = [
            (!self.property.is_empty(), "--property", "--reader-property"),
            (!self.producer_property.is_empty(), "--producer-property", "--command-property"),
            (self.producer_config.is_some(), "--producer.config", "--command-config"),
            (self.broker_list.is_some(), "--broker-list", "--bootstrap-server"),
            (self.max_partition_memory_bytes.is_some(), "--max-partition-memory-bytes", "--batch-size"),
        ];
        for (_, old, new) in old.into_iter().filter(|(is_given, ..)| *is_given) {
            io.notice(format!("{old} is an older spelling of {new}"));
        }
        if self.socket_buffer_size.is_some() {
            io.notice("--socket-buffer-size has no effect: the kernel sizes its buffers");
        }
    }

    fn reader(&self) -> Result<LineReader, Failure> {
        if let Some(class) = self.line_reader.as_ref().filter(|class| class.rsplit('.').next() != Some(READER)) {
            return Err(Failure::usage(format!("there is no reader {class} here; there is {READER}")));
        }
        let properties =
            from_file_and_options(self.reader_config.as_deref(), &[&self.property, &self.reader_property])?;
        LineReader::new(&properties).map_err(|error| Failure::usage(error.to_string()))
    }

    /// An option counts more than a property, a property more than the option's default.
    fn settings(&self, topic: String, keys: &Keys) -> Result<ProducerSettings, Failure> {
        let ms = |option: Option<u64>, key: &str, default: u64| -> Result<Duration, Failure> {
            let option = option.map(Duration::from_millis);
            Ok(option.map_or_else(|| keys.millis(key), |it| Ok(Some(it)))?.unwrap_or(Duration::from_millis(default)))
        };
        let bytes = |option: Option<usize>, key: &str, default: usize| -> Result<usize, Failure> {
            Ok(option.map_or_else(|| keys.parsed(key, "a number of bytes"), |it| Ok(Some(it)))?.unwrap_or(default))
        };
        let retries = match self.message_send_max_retries {
            Some(retries) => retries,
            None => keys.parsed("retries", "a number, 0 or more")?.unwrap_or(3),
        };
        let acks = self.request_required_acks.as_deref().or(keys.text("acks")).unwrap_or("-1");
        let acks = parse_acks(acks)?;
        let codec = self.compression_codec.as_deref().or(keys.text("compression.type")).unwrap_or("none");
        let batch_size = self.batch_size.or(self.max_partition_memory_bytes);
        Ok(ProducerSettings {
            topic,
            partition: None,
            acks,
            codec: parse_codec(codec)?,
            batch_size: bytes(batch_size, "batch.size", 16_384)?,
            linger: ms(self.timeout, "linger.ms", 1_000)?,
            retries,
            retry_backoff: ms(self.retry_backoff_ms, "retry.backoff.ms", 100)?,
            request_timeout: ms(self.request_timeout_ms, "request.timeout.ms", 1_500)?,
            delivery_timeout: ms(None, "delivery.timeout.ms", 120_000)?,
            max_block: ms(self.max_block_ms, "max.block.ms", 60_000)?,
            metadata_max_age: ms(self.metadata_expiry_ms, "metadata.max.age.ms", 300_000)?,
            max_request_size: bytes(None, "max.request.size", 1 << 20)?,
            buffer_memory: bytes(self.max_memory_bytes, "buffer.memory", 32 << 20)?,
            idempotent: is_idempotent(keys.is("enable.idempotence")?, acks, retries)?,
            in_flight_max: in_flight_max(keys)?,
            sync: self.sync,
        })
    }
}

/// Idempotent unless acknowledgements or retries rule it out; asked for in so many words, that is an error.
fn is_idempotent(asked: Option<bool>, acks: i16, retries: u32) -> Result<bool, Failure> {
    let can = acks == -1 && retries > 0;
    if asked == Some(true) && !can {
        return Err(Failure::usage("enable.idempotence=true needs acks=all and at least one retry"));
    }
    Ok(asked.unwrap_or(true) && can)
}

fn in_flight_max(keys: &Keys) -> Result<usize, Failure> {
    const KEY: &str = "max.in.flight.requests.per.connection";
    let max = keys.parsed(KEY, "a number, 1 or more")?.unwrap_or(IN_FLIGHT_MAX);
    if max == 0 {
        return Err(Failure::usage(format!("{KEY}=0 is not usable: expected a number, 1 or more")));
    }
    if max > IN_FLIGHT_MAX && keys.is("enable.idempotence")? != Some(false) {
        let text = format!("{KEY}={max} is more than the {IN_FLIGHT_MAX} that an idempotent producer may have");
        return Err(Failure::usage(text).hint("with enable.idempotence=false it may have more, and lose the order"));
    }
    Ok(max)
}

/// `all`, `-1`, `1` or `0`.
pub(super) fn parse_acks(text: &str) -> Result<i16, Failure> {
    match text {
        "all" | "-1" => Ok(-1),
        "1" => Ok(1),
        "0" => Ok(0),
        other => Err(Failure::usage(format!("acks={other} is not usable: expected all, -1, 1 or 0"))),
    }
}

/// A codec by its name.
pub(super) fn parse_codec(text: &str) -> Result<Codec, Failure> {
    let known = Codec::ALL.into_iter().find(|codec| codec.name() == text);
    known.ok_or_else(|| {
        let names = Codec::ALL.map(Codec::name);
        let text_ = format!("there is no codec {text}: expected {}", names.join(", "));
        Failure::usage(text_).did_you_mean(text, names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotence_gives_way_unless_it_was_asked_for() {
        assert!(is_idempotent(None, -1, 3).expect("fine"));
        assert!(!is_idempotent(None, 1, 3).expect("fine"));
        assert!(!is_idempotent(Some(false), -1, 3).expect("fine"));
        assert!(is_idempotent(Some(true), 1, 3).is_err());
        assert!(is_idempotent(Some(true), -1, 0).is_err());
    }

    #[test]
    fn acks_and_codecs() {
        assert_eq!(parse_acks("all").expect("known"), -1);
        assert_eq!(parse_acks("7").expect_err("unknown").message, "acks=7 is not usable: expected all, -1, 1 or 0");
        assert_eq!(parse_codec("lz4").expect("known"), Codec::Lz4);
        assert!(parse_codec("gzipp").expect_err("unknown").hints[0].contains("gzip"));
    }
}
