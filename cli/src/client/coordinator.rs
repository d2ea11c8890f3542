//! Which broker coordinates a group or a transactional id.

use super::{Address, Client, Error};
use protocol::messages::FindCoordinatorRequest;

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorKind {
    /// A consumer group.
    Group = 0,
    /// A transactional producer.
    Transaction = 1,
}

impl Client {
    /// The id of the broker that coordinates `key`, which [`broker`](Client::broker) then takes. Waits while the cluster is still
    /// creating or loading the topic behind it.
    pub fn coordinator(&mut self, kind: CoordinatorKind, key: &str) -> Result<i32, Error> {
        self.retrying(|client| client.find_coordinator(kind, key))
    }

    fn find_coordinator(&mut self, kind: CoordinatorKind, key: &str) -> Result<i32, Error> {
        let batched = self.home()?.version_for::<FindCoordinatorRequest<'_>>()? >= 4;
        let request = FindCoordinatorRequest {
            key: if batched { "".into() } else { key.into() },
            key_type: kind as i8,
            coordinator_keys: if batched { vec![key.into()] } else { Vec::new() },
        };
        let answer = self.any(&request)?;
        let response = answer.read();
        let what = || format!("the coordinator of `{key}`");
        let (code, message, id, host, port) = match response.coordinators.first() {
            Some(found) => (found.error_code, found.error_message.as_deref(), found.node_id, &found.host, found.port),
            None => (
                response.error_code,
                response.error_message.as_deref(),
                response.node_id,
                &response.host,
                response.port,
            ),
        };
        Error::check(code, message, what)?;
        self.brokers.insert(id, Address::new(host.to_string(), u16::try_from(port).unwrap_or(0)));
        Ok(id)
    }
}
