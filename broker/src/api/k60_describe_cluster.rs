//! DescribeCluster, key 60, versions 0 to 2.
//!
//! Behaviour: the cluster's id, its brokers as this listener's clients reach them, and the controller. Endpoint type 2 asks
//! a controller's listener, which this is not: MISMATCHED_ENDPOINT_TYPE. Other types are UNSUPPORTED_ENDPOINT_TYPE.
//!
//! KIPs: 700, 919 (endpoint type), 1073 (fenced brokers). Deviations: none known.

use super::rights;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::describe_cluster::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse};
use protocol::{ErrorCode, Str};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Describes the cluster.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if !broker.is_ready() {
        broker.keep_early(request);
        return Ok(());
    }
    let body = request.body(DescribeClusterRequest::decode)?;
    let image = broker.image.clone();
    let refused = match body.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((ErrorCode::MismatchedEndpointType, "Brokers listen here, not controllers")),
        _ => Some((ErrorCode::UnsupportedEndpointType, "Endpoint types are 1 for brokers and 2 for controllers")),
    };
    let settings = image.settings();
    let brokers = settings.core_endpoints(request.local).into_iter().map(|at| DescribeClusterBroker {
        broker_id: at.id,
        host: at.host.into(),
        port: i32::from(at.port),
        rack: settings.rack.as_deref().map(Str::Borrowed),
        is_fenced: false,
    });
    let response = match refused {
        Some((code, message)) => DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(message.into()),
            endpoint_type: body.endpoint_type,
            controller_id: -1,
            cluster_authorized_operations: rights::NOT_ASKED,
            ..DescribeClusterResponse::default()
        },
        None => DescribeClusterResponse {
            throttle_time_ms: 0,
            error_code: ErrorCode::None.code(),
            error_message: None,
            endpoint_type: BROKERS,
            cluster_id: Str::Borrowed(image.cluster_id().unwrap_or_default()),
            controller_id: settings.node_id,
            brokers: brokers.collect(),
            cluster_authorized_operations: rights::asked(body.include_cluster_authorized_operations, rights::CLUSTER),
        },
    };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
}
