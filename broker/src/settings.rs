//! What an operator chose for the whole broker, as far as the machine acts on it. How files and flags become these values
//! is `config` and the `node` crate; per-topic settings are in the metadata image.

use std::sync::Arc;

/// Settings of one broker, the same on all its shards.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// `node.id`.
    pub node_id: i32,
    /// The cluster's id, 22 characters.
    pub cluster_id: Arc<str>,
    /// Drawn anew at every start: makes ids that a former run gave out, such as fetch sessions, unlikely to fit this one.
    pub incarnation: u64,
    /// `fetch.max.bytes`: no fetch answer grows beyond it, but for a first batch that is larger.
    pub fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`, for all shards together.
    pub fetch_session_slots: usize,
    /// `producer.id.expiration.ms`: an idempotent producer that was silent for so long is forgotten.
    pub producer_expiration_ms: i64,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        BrokerSettings {
            node_id: 1,
            cluster_id: Arc::from("AAAAAAAAAAAAAAAAAAAAAA"),
            incarnation: 0,
            fetch_max_bytes: 55 << 20,
            fetch_session_slots: 1000,
            producer_expiration_ms: 86_400_000,
        }
    }
}
