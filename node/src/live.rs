//! What changes at run time outside the shards: bounds of connections and the levels of loggers. The shard of the
//! controller says what is to change; the main thread, which is pinned to no core, does it.

use crate::budget::ConnectionBudget;
use crate::logging;
use broker::config::broker::dynamic::{PER_IP_OVERRIDES, per_ip_overrides};
use broker::config::layers::{Layers, Source};
use broker::image::MetadataImage;
use broker::loggers::Loggers;
use std::sync::Arc;
use transport_tcp::Admission;

/// Something to be done outside the shards.
#[derive(Debug)]
pub enum Outside {
    /// Broker configuration is that of this image now.
    Configs(Arc<MetadataImage>),
    /// The loggers have these levels now.
    Loggers(Loggers),
}

/// What of the process follows configuration at run time.
#[derive(Clone, Debug)]
pub struct Live {
    /// Connections of all shards.
    pub admission: Arc<Admission>,
    /// Descriptors that the process may have.
    pub descriptors: usize,
}

impl Live {
    /// Does it.
    pub fn apply(&self, change: &Outside) {
        match change {
            Outside::Configs(image) => self.limit_connections(image.layers()),
            Outside::Loggers(loggers) => logging::set(loggers),
        }
    }

    fn limit_connections(&self, layers: Layers<'_>) {
        let chosen = |name| {
            let (value, source) = layers.broker_value(name)?;
            value.trim().parse::<usize>().ok().filter(|_| source != Source::Default)
        };
        let max = chosen("max.connections").unwrap_or(usize::MAX);
        let share = ConnectionBudget::share(self.descriptors, max, chosen("max.connections.per.ip"));
        let overrides = layers.broker_value(PER_IP_OVERRIDES).and_then(|(value, _)| per_ip_overrides(&value).ok());
        if self.admission.limit(share.max, share.per_ip_max, overrides.unwrap_or_default()) {
            tracing::info!(connections = share.max, per_address = share.per_ip_max, "connections are limited anew");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker::controller::record::{Record, Resource};
    use std::collections::HashMap;
    use std::net::IpAddr;

    #[test]
    fn bounds_of_connections_follow_the_configuration() {
        let admission = Arc::new(Admission::new(10, 10, HashMap::new()));
        let live = Live { admission: Arc::clone(&admission), descriptors: 1_000 };
        let config = |key: &str, value: &str| Record::Config {
            resource: Resource::DefaultBroker,
            key: key.to_owned(),
            value: Some(value.to_owned()),
        };
        let records = [
            config("max.connections", "100"),
            config("max.connections.per.ip", "5"),
            config(PER_IP_OVERRIDES, "10.0.0.1:7"),
        ];
        let image = MetadataImage::default().with(&records, 3).expect("records fit");
        live.apply(&Outside::Configs(Arc::new(image)));
        let of = |last: u8| admission.limits_of(IpAddr::from([10, 0, 0, last]));
        assert_eq!((of(1), of(2)), ((100, 7), (100, 5)));
        live.apply(&Outside::Configs(Arc::default()));
        assert_eq!(of(1), (750, 675), "what descriptors allow, as at a start");
    }
}
