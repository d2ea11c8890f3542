//! `kafka-log-dirs`: Kafka 4.3.1's options and standard output, two lines and a line of JSON.
//!
//! Deviations, all of them outside standard output: `--help` ends with 0, a wrong command line with 2, a broker that is not there
//! with 5; no stack traces.

use super::read::{self, LogDir, Replica};
use crate::client::Topics;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::java;
use crate::options::KafkaArgs;
use clap::Args;
use serde_json::json;

/// The options of `kafka-log-dirs`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct LogDirsArgs {
    #[command(flatten)]
    cluster: KafkaArgs,
    /// Print folders, partitions and sizes; required.
    #[arg(long)]
    describe: bool,
    /// Only these topics.
    #[arg(long, value_name = "TOPIC,…", default_value = "", allow_hyphen_values = true)]
    topic_list: String,
    /// Only these brokers.
    #[arg(long, value_name = "ID,…", default_value = "", allow_hyphen_values = true)]
    broker_list: String,
}

/// Runs the tool.
pub fn run(args: &LogDirsArgs, io: &mut Io<'_>) -> Outcome {
    if args.cluster.version {
        return crate::applet::print_version(io);
    }
    if !args.describe {
        return Err(Failure::usage("--describe is missing"));
    }
    let parts = |list: &str| list.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let wrong = |id: &str| Failure::usage(format!("--broker-list: {id} is no broker's id; expected an integer"));
    let wanted: Vec<i32> =
        parts(&args.broker_list).iter().map(|id| id.parse().map_err(|_| wrong(id))).collect::<Result<_, _>>()?;
    let mut client = args.cluster.connect(io)?;
    let cluster = client.metadata(Topics::None)?;
    let missing = read::missing(&cluster, &wanted);
    if !missing.is_empty() {
        let known: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
        return Err(Failure::not_found(format!(
            "--broker-list: no broker {}; there are {}",
            commas(&missing),
            commas(&known)
        )));
    }
    let mut brokers: Vec<i32> =
        cluster.brokers.iter().map(|broker| broker.id).filter(|id| wanted.is_empty() || wanted.contains(id)).collect();
    java::hash_order(&mut brokers, 16, |id| *id);
    writeln!(io.out, "Querying brokers for log directories information")?;
    let dirs = read::read(&mut client, &brokers, &parts(&args.topic_list))?;
    writeln!(io.out, "Received log directory information from brokers {}", commas(&brokers))?;
    Ok(writeln!(io.out, "{}", document(&brokers, dirs))?)
}

fn commas(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// The JSON, with keys and rows in the order of Kafka's hash maps.
fn document(brokers: &[i32], dirs: Vec<LogDir>) -> String {
    let of_broker = |id: &i32| {
        let mut dirs: Vec<&LogDir> = dirs.iter().filter(|dir| dir.broker == *id).collect();
        let count = dirs.len();
        java::hash_order(&mut dirs, count, |dir| java::string_hash(&dir.path));
        let dirs: Vec<String> = dirs.into_iter().map(folder).collect();
        format!(r#"{{"broker":{id},"logDirs":[{}]}}"#, dirs.join(","))
    };
    let brokers: Vec<String> = brokers.iter().map(of_broker).collect();
    format!(r#"{{"brokers":[{}],"version":1}}"#, brokers.join(","))
}

fn folder(dir: &LogDir) -> String {
    let mut replicas: Vec<&Replica> = dir.replicas.iter().collect();
    java::hash_order(&mut replicas, 16, |replica| java::topic_partition_hash(&replica.topic, replica.partition));
    let replica = |replica: &&Replica| {
        let name = json!(format!("{}-{}", replica.topic, replica.partition));
        format!(
            r#"{{"partition":{name},"size":{},"offsetLag":{},"isFuture":{}}}"#,
            replica.size_bytes, replica.offset_lag, replica.is_future
        )
    };
    let replicas: Vec<String> = replicas.iter().map(replica).collect();
    let error = json!(dir.error.map(java::exception_class));
    format!(r#"{{"partitions":[{}],"error":{error},"logDir":{}}}"#, replicas.join(","), json!(dir.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ErrorCode;

    #[test]
    fn kafkas_json() {
        let replica =
            |partition| Replica { topic: "t1".into(), partition, size_bytes: 7, offset_lag: 0, is_future: false };
        let dir = |path: &str, error, replicas| LogDir {
            broker: 1,
            path: path.to_owned(),
            error,
            total_bytes: Some(1),
            usable_bytes: None,
            replicas,
        };
        let one = dir("/data", None, vec![replica(0), replica(1)]);
        assert_eq!(
            document(&[1], vec![one]),
            r#"{"brokers":[{"broker":1,"logDirs":[{"partitions":[{"partition":"t1-1","size":7,"offsetLag":0,"isFuture":false},{"partition":"t1-0","size":7,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/data"}]}],"version":1}"#
        );
        let broken = dir("/a\"b", Some(ErrorCode::KafkaStorageError), vec![]);
        assert_eq!(
            document(&[1], vec![broken]),
            r#"{"brokers":[{"broker":1,"logDirs":[{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/a\"b"}]}],"version":1}"#
        );
    }
}
