//! Whose log a folder holds: `partition.metadata` in Kafka's format, and our sealed word about it. Either alone is enough;
//! of two that disagree the sealed one is right, because only it has a checksum.

use super::Repair;
use crate::log::copies::TopicSeal;
use crate::log::limits::STATE_BYTES_MAX;
use crate::log::{kafka_files, names, tasks};
use crate::shard::Io;
use std::io;
use std::path::Path;

/// The topic id as the sealed word or, without one, `partition.metadata` has it; fails only when neither can be read. The word
/// itself comes along where it is that of a log of ours, so that nobody has to read it again. Changes nothing.
pub(super) async fn look(io: &Io, dir: &Path, partition: i32) -> io::Result<(Option<[u8; 16]>, Option<TopicSeal>)> {
    for name in [names::ORIGIN, names::ADOPTED] {
        let sealed = read(io, &dir.join(name)).await.ok().flatten();
        if let Some(Ok(Some(seal))) = sealed.map(|file| TopicSeal::from_file(&file))
            && seal.partition == partition
        {
            return Ok((Some(seal.uid), Some(seal).filter(|_| name == names::ORIGIN)));
        }
    }
    Ok((read(io, &dir.join(names::PARTITION_METADATA)).await?.as_deref().and_then(id_of), None))
}

/// The topic id, with both files mended so that they agree. `known` is the sealed word, for whoever has read it.
pub(super) async fn settle(
    io: &Io,
    dir: &Path,
    partition: i32,
    ours: bool,
    known: Option<TopicSeal>,
    report: &mut Vec<Repair>,
) -> io::Result<Option<[u8; 16]>> {
    let sealed_path = dir.join(if ours { names::ORIGIN } else { names::ADOPTED });
    let metadata_path = dir.join(names::PARTITION_METADATA);
    let metadata = read(io, &metadata_path).await?;
    let said = metadata.as_deref().and_then(id_of);
    let read_again = match known {
        Some(seal) => Some(Ok(Some(seal))),
        None => read(io, &sealed_path).await?.as_deref().map(TopicSeal::from_file),
    };
    let sealed = match read_again {
        None | Some(Ok(None)) => None,
        Some(Ok(Some(seal))) if seal.partition == partition => Some(seal),
        Some(Ok(Some(seal))) => {
            let reason = format!("it is of partition {}: replaced by what partition.metadata says", seal.partition);
            report.push(Repair::rebuild(sealed_path.clone(), reason));
            None
        }
        Some(Err(error)) => {
            let reason = format!("{error}: replaced by what partition.metadata says");
            report.push(Repair::rebuild(sealed_path.clone(), reason));
            None
        }
    };
    match (sealed, said) {
        (Some(seal), _) if metadata.as_deref().is_some_and(|text| seal.matches(text)) => Ok(Some(seal.uid)),
        (Some(seal), _) => {
            let reason = format!("not what was written: replaced by the topic id in {}", sealed_path.display());
            report.push(Repair::rebuild(metadata_path.clone(), reason));
            let text = kafka_files::partition_metadata(&seal.uid).into_bytes();
            put(io, &sealed_path, TopicSeal::of(seal.uid, partition).to_file()).await;
            put(io, &metadata_path, text).await;
            Ok(Some(seal.uid))
        }
        (None, Some(uid)) => {
            let seal = TopicSeal::with_text(uid, partition, metadata.as_deref().unwrap_or_default());
            put(io, &sealed_path, seal.to_file()).await;
            Ok(Some(uid))
        }
        (None, None) => Ok(None),
    }
}

/// Writes one of the two. On a full disk the next start tries again; the other one is enough to go on.
async fn put(io: &Io, path: &Path, bytes: Vec<u8>) {
    if let Err(error) = tasks::replace(io, path, bytes).await {
        tracing::warn!(file = %path.display(), %error, "what a log is called is written down once only");
    }
}

fn id_of(text: &[u8]) -> Option<[u8; 16]> {
    kafka_files::topic_id(std::str::from_utf8(text).ok()?)
}

/// A small file; `None` where there is none.
async fn read(io: &Io, path: &Path) -> io::Result<Option<Vec<u8>>> {
    match tasks::read_whole(io, path, STATE_BYTES_MAX).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
