//! Looks at everything there is while nobody else acts: after each start, and at the end. What is gone that was promised
//! shows here, and what a later read could not tell from a fresh start.

use super::admin::check_metadata;
use super::configs;
use super::consumer::Consumer;
use super::remote::{Ctx, Heard, Remote};
use super::truth::{Ended, Part};
use super::violation::Violation;
use super::wire::Answer;
use engine::time::Mono;
use protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use protocol::messages::metadata::MetadataRequest;
use protocol::{ApiKey, ErrorCode};

/// What is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Topics,
    Configs,
    End(Part),
    Start(Part),
    Done,
}

/// One look at everything.
pub(crate) struct Auditor {
    pub(crate) remote: Remote,
    question: Question,
    parts: Vec<Part>,
    /// How the process before this one ended.
    ended: Ended,
    retry_at: Mono,
}

impl Auditor {
    pub(crate) fn new(remote: Remote, parts: Vec<Part>, ended: Ended) -> Auditor {
        Auditor { remote, question: Question::Topics, parts, ended, retry_at: Mono(0) }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.question == Question::Done
    }

    pub(crate) fn due(&self) -> Mono {
        if self.remote.is_waiting() || self.remote.conn().is_none() { self.remote.due() } else { self.retry_at }
    }

    pub(crate) fn act(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Violation> {
        loop {
            match self.remote.hear(ctx)? {
                Heard::Answer(answer) => self.answered(ctx, &answer)?,
                Heard::Lost => {}
                Heard::Nothing => break,
            }
        }
        if !self.is_done() && ctx.now >= self.retry_at && !self.remote.is_waiting() && self.remote.open(ctx) {
            self.ask(ctx);
        }
        Ok(())
    }

    fn ask(&mut self, ctx: &Ctx<'_>) {
        let Some(link) = self.remote.link() else { return };
        let (part, timestamp) = match self.question {
            Question::Topics => {
                let request = MetadataRequest { topics: None, ..Default::default() };
                return link.ask(ctx.now, ApiKey::Metadata, 12, |writer| request.encode(writer, 12));
            }
            Question::Configs => return configs::describe(ctx.truth, link, ctx.now),
            Question::End(part) => (part, -1),
            Question::Start(part) => (part, -2),
            Question::Done => return,
        };
        let partitions = vec![ListOffsetsPartition {
            partition_index: part.index,
            current_leader_epoch: -1,
            timestamp,
            ..Default::default()
        }];
        let topics = vec![ListOffsetsTopic { name: ctx.truth.topics[part.topic].name.clone().into(), partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        link.ask(ctx.now, ApiKey::ListOffsets, 7, |writer| request.encode(writer, 7));
    }

    fn answered(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        self.question = match self.question {
            Question::Topics => {
                check_metadata(&self.remote.who, ctx, answer)?;
                Question::Configs
            }
            Question::Configs => {
                configs::check(ctx.truth, &self.remote.who, answer)?;
                self.next_part()
            }
            Question::End(part) => match self.offset(ctx, answer, part)? {
                Some(end) => {
                    ctx.truth.came_back(part, end, self.ended)?;
                    Question::Start(part)
                }
                None => self.question,
            },
            Question::Start(part) => match self.offset(ctx, answer, part)? {
                Some(start) => {
                    let known = ctx.truth.look(part).start;
                    ctx.truth.log_start(part, start, known)?;
                    self.next_part()
                }
                None => self.question,
            },
            Question::Done => Question::Done,
        };
        Ok(())
    }

    fn next_part(&mut self) -> Question {
        self.parts.pop().map_or(Question::Done, Question::End)
    }

    /// The offset of an answer; none if it has to be asked again.
    fn offset(&mut self, ctx: &Ctx<'_>, answer: &Answer, part: Part) -> Result<Option<i64>, Violation> {
        let (code, offset) = answer.body(&self.remote.who, "ListOffsets", |reader, version| {
            let response = ListOffsetsResponse::decode(reader, version)?;
            let part = response.topics.first().and_then(|topic| topic.partitions.first());
            Ok(part.map_or((-1, -1), |part| (part.error_code, part.offset)))
        })?;
        if code == ErrorCode::None.code() {
            return Ok(Some(offset));
        }
        self.retry_at = ctx.now.plus_millis(100);
        if ctx.truth.look(part).is_damaged {
            // It says that it is unusable, which is all that can be asked of it.
            self.question = self.next_part();
            return Ok(None);
        }
        self.remote.check_code(ctx, "ListOffsets", code).map(|()| None)
    }
}

/// A consumer of everything, for the look at every record.
pub(crate) fn reader_of_all(remote: Remote, parts: &[Part]) -> Consumer {
    Consumer::new(remote, parts).in_large_steps()
}
