//! One address and one broker id for each core (`core.endpoints`): clients see as many brokers as there are cores, and speak
//! to the core that owns a partition by themselves. Only what they are told differs; a request that reaches another core is
//! served all the same, by crossing.
//!
//! ```text
//!  core 0: id node.id               listener's port      controller, as without
//!  core 1: id 1000000 + node.id     the next port
//!  core c: id c × 1000000 + node.id  ...
//! ```
//! So ids of two nodes never meet, and a person can read them. In the metadata itself a partition belongs to the node.

use crate::image::shard_of;
use crate::settings::BrokerSettings;
use protocol::Uuid;
use std::net::SocketAddr;

/// Between the ids of two neighbouring cores of a node. Node ids are smaller where cores have ids.
pub const ID_STRIDE: i32 = 1_000_000;

/// Most cores whose ids are told apart.
pub const CORES_MAX: u16 = 1024;

const _: () = assert!((CORES_MAX as i64) * (ID_STRIDE as i64) < i32::MAX as i64, "every core's id is an id");

/// A broker as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: i32,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl BrokerSettings {
    /// How many brokers this node is to its clients: its cores, or one.
    pub fn cores(&self) -> u16 {
        self.core_ports.first().map_or(1, |ports| u16::try_from(ports.len()).unwrap_or(CORES_MAX))
    }

    /// True where each core has an address of its own.
    pub fn has_core_endpoints(&self) -> bool {
        !self.core_ports.is_empty()
    }

    /// The broker id of a core, by its number.
    pub fn id_of_core(&self, core: u16) -> i32 {
        i32::from(core) * ID_STRIDE + self.node_id
    }

    /// The node that this broker id belongs to: ours for those of our cores.
    pub fn node_of(&self, id: i32) -> i32 {
        let is_ours = (0..self.cores()).any(|core| self.id_of_core(core) == id);
        if is_ours { self.node_id } else { id }
    }

    /// As which broker a client is shown `node` where that has a partition.
    pub fn shown(&self, node: i32, topic: Uuid, partition: i32) -> i32 {
        if node == self.node_id { self.id_of_core(shard_of(topic, partition, self.cores()).0) } else { node }
    }

    /// As [`BrokerSettings::shown`], for several nodes.
    pub fn shown_all(&self, nodes: &[i32], topic: Uuid, partition: i32) -> Vec<i32> {
        nodes.iter().map(|node| self.shown(*node, topic, partition)).collect()
    }

    /// What a client that reached us at `local` is told of a core.
    pub fn core_endpoint(&self, local: SocketAddr, core: u16) -> Endpoint {
        let (host, port) = self.endpoint_of_core(local, core);
        Endpoint { id: self.id_of_core(core), host, port }
    }

    /// What a client that reached us at `local` is told of all our cores.
    pub fn core_endpoints(&self, local: SocketAddr) -> Vec<Endpoint> {
        (0..self.cores()).map(|core| self.core_endpoint(local, core)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Values;
    use crate::settings::ListenerSettings;

    fn settings(core_ports: Vec<Vec<u16>>, advertised: Option<(&str, u16)>) -> BrokerSettings {
        let advertised = advertised.map(|(host, port)| (host.to_owned(), port));
        let bind = SocketAddr::from(([0, 0, 0, 0], 9092));
        let listener = ListenerSettings { name: "PLAINTEXT".to_owned(), bind, advertised };
        BrokerSettings { core_ports, ..BrokerSettings::new(7, vec![listener], Values::new()) }
    }

    fn told(settings: &BrokerSettings, port: u16) -> Vec<(i32, String, u16)> {
        let endpoints = settings.core_endpoints(SocketAddr::from(([10, 0, 0, 1], port)));
        endpoints.into_iter().map(|at| (at.id, at.host, at.port)).collect()
    }

    #[test]
    fn one_broker_for_a_node_or_for_a_core() {
        assert_eq!(told(&settings(Vec::new(), None), 9092), [(7, "10.0.0.1".to_owned(), 9092)]);
        let of_cores = settings(vec![vec![9092, 9093]], None);
        let both = [(7, "10.0.0.1".to_owned(), 9092), (1_000_007, "10.0.0.1".to_owned(), 9093)];
        for port in [9092, 9093] {
            assert_eq!(told(&of_cores, port), both, "reached at {port}");
        }
        let behind = settings(vec![vec![9092, 9093]], Some(("kafka.example", 19092)));
        let ports: Vec<u16> = told(&behind, 9093).into_iter().map(|(_, _, port)| port).collect();
        assert_eq!((told(&behind, 9093)[1].1.as_str(), ports), ("kafka.example", vec![19092, 19093]));
    }

    #[test]
    fn partitions_are_shown_on_their_cores_and_ids_lead_back() {
        let settings = settings(vec![vec![1, 2, 3]], None);
        let topic = Uuid([5; 16]);
        let shown: Vec<i32> = (0..3).map(|partition| settings.shown(7, topic, partition)).collect();
        let mut sorted = shown.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [7, 1_000_007, 2_000_007], "neighbours lie on neighbouring cores");
        assert!(shown.iter().all(|id| settings.node_of(*id) == 7));
        assert_eq!((settings.node_of(3_000_007), settings.shown(8, topic, 0)), (3_000_007, 8), "not ours");
    }
}
