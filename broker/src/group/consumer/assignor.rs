//! What an assignor is given and gives: a pure function of members, topics and the assignment before. `uniform` and `range` are
//! the two that Kafka has; both ignore racks, because there is one broker.

use super::partitions::Partitions;
use super::{range, uniform};
use protocol::Uuid;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A way of assigning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// Even numbers of partitions, moving as few as that takes.
    Uniform,
    /// Each topic in ranges, so that equal numbers of two topics go to the same member.
    Range,
}

impl Assignor {
    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The assignor of that name.
    pub(crate) fn named(name: &str) -> Option<Assignor> {
        [Assignor::Uniform, Assignor::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    /// The partitions of each member, in the order of the members.
    pub(crate) fn assign(self, spec: &Spec) -> Vec<Partitions> {
        match self {
            Assignor::Uniform => uniform::assign(spec),
            Assignor::Range => range::assign(spec),
        }
    }
}

/// What is to be assigned, and to whom.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    /// In the order of their ids.
    pub(crate) members: Vec<SpecMember>,
    /// Partitions of each topic that somebody subscribes to.
    pub(crate) topics: BTreeMap<Uuid, i32>,
}

/// A member, to an assignor.
#[derive(Clone, Debug)]
pub(crate) struct SpecMember {
    /// Its id, or that of its instance for a static one: what it is known by after a restart.
    pub(crate) name: Arc<str>,
    /// Whether it is static.
    pub(crate) is_static: bool,
    /// Topics it subscribes to that exist. Sorted. Members that subscribe to the same share them.
    pub(crate) topics: Rc<[Uuid]>,
    /// What it was to have before.
    pub(crate) before: Arc<Partitions>,
}
