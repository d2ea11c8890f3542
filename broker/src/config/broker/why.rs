//! Why a key is accepted without effect, or refused: one sentence for each reason, shown to the operator and to clients that
//! ask for documentation.

pub(super) const BUFFERS: &str = "buffers come out of one memory budget per core";
pub(super) const COMPACTION: &str =
    "compaction reads and writes in steps of its own size, and fills its memory for keys to three quarters";
pub(super) const CONTROLLED: &str = "a stopping node always hands over what it can";
pub(super) const EARLY: &str = "all listeners open together, once the node can answer";
pub(super) const METADATA: &str = "the metadata log has its own sizes";
pub(super) const METRICS: &str = "metrics are built in and need no Java classes";
pub(super) const NEW_GROUPS: &str = "the classic and the consumer protocol are always there, and clients choose";
pub(super) const NO_ACL: &str = "authorization is not there yet, and going on without it would let anyone do anything";
pub(super) const NO_POLICY: &str =
    "policies in Java classes cannot run here, and going on without one would allow what it forbids";
pub(super) const NO_PROVIDERS: &str = "configuration providers are not there yet; put the values into the file";
pub(super) const NO_SASL: &str = "SASL is not there yet, and going on without it would let anyone in";
pub(super) const NO_TIER: &str =
    "tiered storage is not there yet, and going on without it would keep or delete the wrong data";
pub(super) const NO_TLS: &str = "TLS is not there yet, and going on without it would expose data";
pub(super) const OFFSETS: &str = "offsets are written through the same log as everything else";
pub(super) const ONE_NODE: &str = "takes effect with clusters; a single node has nobody to talk to";
pub(super) const OTHER_TOKENS: &str = "takes effect with delegation tokens";
pub(super) const PURGATORY: &str = "waiting requests are kept without purgatories";
pub(super) const QUORUM: &str = "the nodes agree among themselves; there is no separate controller quorum to configure";
pub(super) const QUOTAS: &str = "takes effect with quotas";
pub(super) const RATE: &str = "connections are accepted as fast as they come";
pub(super) const RECOVERY: &str = "checkpoints and recovery follow the engine's own rhythm";
pub(super) const SHARE: &str = "takes effect with share groups";
pub(super) const STREAMS: &str = "takes effect with streams groups";
pub(super) const SYSTEM: &str = "left to the system, which tunes it by itself";
pub(super) const THREADS: &str = "every core runs one shard, so there are no thread pools to size";
pub(super) const TIERED: &str = "takes effect with tiered storage";
pub(super) const TXN: &str = "takes effect with transactions";
pub(super) const UNSTABLE: &str = "only stable versions are served";
pub(super) const WITH_ACL: &str = "has no effect without an authorizer";
pub(super) const WITH_SASL: &str = "has no effect without SASL";
