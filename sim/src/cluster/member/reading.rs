//! How a member reads its share.

use super::Member;
use crate::cluster::remote::Ctx;
use crate::cluster::truth::{Part, Standing};
use crate::cluster::violation::Violation;
use crate::cluster::wire::Answer;
use protocol::batch::iter_batches;
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use protocol::{ApiKey, ErrorCode, Records};

impl Member {
    pub(super) fn ask_fetch(&mut self, ctx: &Ctx<'_>) {
        let partitions = self.share.iter().map(|(index, (next, _))| FetchPartition {
            partition: *index,
            current_leader_epoch: -1,
            fetch_offset: *next,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 20_000,
            ..Default::default()
        });
        let topic = ctx.truth.topics[self.topic].name.clone().into();
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: 200,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic { topic, partitions: partitions.collect(), ..Default::default() }],
            ..Default::default()
        };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::Fetch, 11, |writer| request.encode(writer, 11));
        }
    }

    pub(super) fn fetched(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let parts = answer.body(&self.remote.who, "Fetch", |reader, version| {
            let response = FetchResponse::decode(reader, version)?;
            let parts = response.responses.iter().flat_map(|topic| &topic.partitions).map(|part| {
                let records = if let Records::Bytes(bytes) = part.records { bytes.to_vec() } else { Vec::new() };
                (part.partition_index, part.error_code, part.high_watermark, part.log_start_offset, records)
            });
            Ok(parts.collect::<Vec<_>>())
        })?;
        for (index, code, high, start, records) in parts {
            let part = Part { topic: self.topic, index };
            let Some((next, _)) = self.share.get_mut(&index) else { continue };
            self.high.insert(index, high);
            match ErrorCode::try_from(code) {
                Ok(ErrorCode::None) => {}
                // Deleted below, or lost above where that may happen: as auto.offset.reset=earliest. Commits then stay
                // where they are until the position has passed them again.
                Ok(ErrorCode::OffsetOutOfRange) => {
                    // An answer of that kind need not say where the log begins; a client would ask.
                    let known = ctx.truth.look(part);
                    *next = match start {
                        ..0 if *next < known.start => known.start,
                        ..0 if *next < known.promised => (*next * 2 + 1).min(known.promised),
                        start if *next < start => start,
                        start => start.max(0),
                    };
                    continue;
                }
                _ if ctx.truth.look(part).is_damaged => continue,
                // Somebody deletes the topic under the group.
                Ok(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId)
                    if ctx.truth.topics[part.topic].standing != Standing::Exists =>
                {
                    self.next_at = ctx.now.plus_millis(200);
                    continue;
                }
                _ => {
                    self.next_at = ctx.now.plus_millis(200);
                    self.remote.check_code(ctx, "Fetch", code)?;
                    continue;
                }
            }
            for view in iter_batches(&records).flatten() {
                let last = match ctx.truth.topics[part.topic].compacts {
                    // The position may have moved since it asked, so what lies between two batches says nothing.
                    Some(_) => ctx.truth.reads_compacted(part, view.base_offset(), &view, 0)?,
                    None => ctx.truth.reads(part, &view)?,
                };
                *next = (last + 1).max(*next);
            }
        }
        Ok(())
    }
}
