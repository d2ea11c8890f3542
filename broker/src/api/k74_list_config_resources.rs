//! ListConfigResources, key 74, versions 0 to 1.
//!
//! Behaviour: the names of resources that have a configuration. Version 0 lists subscriptions to metrics of clients; from
//! version 1 on the request says which types, none meaning all: topics, brokers and their loggers, and the groups and
//! subscriptions for which something was set. A type that nobody knows is UNSUPPORTED_VERSION.
//!
//! The kinds come as in Kafka, from groups to topics; names are sorted, while in Kafka they come as a hash table has them.
//!
//! KIPs: 1000, 1142. Deviations: none known.

use crate::config::resource::ResourceType;
use crate::image::MetadataImage;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

/// Lists resources.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if !broker.is_ready() {
        broker.keep_early(request);
        return Ok(());
    }
    let body = request.body(ListConfigResourcesRequest::decode)?;
    let wanted = wanted(request.header.version, &body.resource_types);
    let image = broker.image.clone();
    let response = match wanted {
        Some(kinds) => ListConfigResourcesResponse {
            config_resources: kinds.into_iter().flat_map(|kind| names(&image, kind)).collect(),
            ..ListConfigResourcesResponse::default()
        },
        None => ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..ListConfigResourcesResponse::default()
        },
    };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
}

/// The types that a request asks for, each once; `None` if it names one that nobody knows.
fn wanted(version: i16, asked: &[i8]) -> Option<Vec<ResourceType>> {
    if version == 0 {
        return Some(vec![ResourceType::ClientMetrics]);
    }
    let known: Option<Vec<ResourceType>> = asked.iter().map(|number| ResourceType::of(*number)).collect();
    let known = known?;
    Some(ResourceType::ALL.into_iter().rev().filter(|kind| known.is_empty() || known.contains(kind)).collect())
}

fn names(image: &MetadataImage, kind: ResourceType) -> Vec<ConfigResource<'static>> {
    let brokers = || image.brokers().into_iter().map(|id| id.to_string()).collect();
    let names: Vec<String> = match kind {
        ResourceType::Topic => image.topics().map(|topic| topic.name.to_string()).collect(),
        ResourceType::Broker | ResourceType::BrokerLogger => brokers(),
        ResourceType::ClientMetrics => image.client_metrics_names().map(str::to_owned).collect(),
        ResourceType::Group => image.configured_groups().map(str::to_owned).collect(),
    };
    let resource = |name: String| ConfigResource { resource_name: name.into(), resource_type: kind as i8 };
    names.into_iter().map(resource).collect()
}
