//! What must be true of consumer groups, from what their members were told.

use super::holders::Holder;
use super::truth::Part;
use super::violation::{Place, Violation};
use std::collections::BTreeMap;

/// Committed offsets of one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Register {
    /// Highest that was acknowledged.
    acknowledged: i64,
    /// Highest that was ever asked for.
    issued: i64,
}

/// One group. Its members commit ascending offsets only, so a committed offset may never be below an acknowledged one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// Highest generation in which somebody got an assignment.
    pub(crate) generation: i32,
    /// Who owns a partition in which generation.
    owners: BTreeMap<(i32, Part), String>,
    offsets: BTreeMap<Part, Register>,
    /// Of a group of the consumer protocol.
    pub(super) holders: BTreeMap<Part, Holder>,
    /// Who was told last that it may use a partition, whether or not it still does.
    pub(super) last_holders: BTreeMap<Part, String>,
}

impl Group {
    /// What was acknowledged of a partition.
    pub(crate) fn acknowledged(&self, part: Part) -> i64 {
        self.offsets.get(&part).map_or(-1, |register| register.acknowledged)
    }

    /// A commit goes out.
    pub(crate) fn commits(&mut self, part: Part, offset: i64) {
        let register = self.offsets.entry(part).or_insert(Register { acknowledged: -1, issued: -1 });
        register.issued = register.issued.max(offset);
    }

    /// A commit was taken.
    pub(crate) fn committed(&mut self, part: Part, offset: i64) {
        self.commits(part, offset);
        if let Some(register) = self.offsets.get_mut(&part) {
            register.acknowledged = register.acknowledged.max(offset);
        }
    }

    /// A committed offset was told to somebody who asked when `known` was acknowledged.
    pub(crate) fn told(&self, name: &str, part: Part, at: Place, got: i64, known: i64) -> Result<(), Violation> {
        let issued = self.offsets.get(&part).map_or(-1, |register| register.issued);
        if got >= known && got <= issued {
            return Ok(());
        }
        Err(Violation::OffsetWentBack { group: name.to_owned(), at, acknowledged: known, issued, got })
    }

    /// A member joined a generation, having asked when `known` was the highest.
    pub(crate) fn joined(&self, name: &str, generation: i32, known: i32) -> Result<(), Violation> {
        if generation >= known {
            return Ok(());
        }
        Err(Violation::GenerationWentBack { group: name.to_owned(), known, got: generation })
    }

    /// A member got its share of a generation.
    pub(crate) fn owns(&mut self, name: &str, generation: i32, member: &str, parts: &[Part]) -> Result<(), Violation> {
        self.generation = self.generation.max(generation);
        self.owners.retain(|(of, _), _| *of + 3 > generation);
        for part in parts {
            let owner = self.owners.entry((generation, *part)).or_insert_with(|| member.to_owned());
            if owner != member {
                return Err(Violation::TwoOwners {
                    group: name.to_owned(),
                    generation,
                    partition: part.index,
                    first: owner.clone(),
                    second: member.to_owned(),
                });
            }
        }
        Ok(())
    }
}
