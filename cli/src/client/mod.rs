//! A small Kafka client on blocking sockets: who to ask, and asking. It has no threads, no caches that go stale unseen and no
//! opinion about output.
//!
//! ```text
//! Settings ─► Client::connect ─► any(&request) · broker(id, &request) · coordinator(key) ─► Answer ─► .read()
//!                                metadata(..) · leaders(..) · list_offsets(..) · fetch(..) · produce(..)
//! ```
//!
//! A request is a message of `protocol`; the client picks the newest version that both sides speak, and an [`Answer`] keeps the
//! frame that its fields borrow from:
//!
//! ```no_run
//! # fn main() -> Result<(), cli::client::Error> {
//! use cli::client::{Client, Settings};
//! use protocol::messages::DescribeClusterRequest;
//! let mut client = Client::connect(Settings::default())?;
//! let answer = client.any(&DescribeClusterRequest::default())?;
//! println!("{} brokers", answer.read().brokers.len());
//! # Ok(()) }
//! ```

pub mod address;
mod api;
mod cluster;
mod connect;
mod connection;
mod coordinator;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod fetch;
mod offsets;
mod pipe;
mod produce;
mod retry;
mod settings;
mod versions;

pub use address::Address;
pub use api::{Answer, Api};
pub use cluster::{Broker, Cluster, Partition, Topic, TopicError, Topics};
pub use connection::Connection;
pub use coordinator::CoordinatorKind;
pub use error::{Cause, Error, Unreachable};
pub use fetch::{FetchFrom, FetchLimits, Fetched, fetch_request};
pub use offsets::{At, FoundOffset, Isolation};
pub use pipe::{Pipe, await_any};
pub use produce::{ProduceTo, Produced, produce_request};
pub use settings::{Notice, Settings, SettingsError, read_file};
pub use versions::Served;

use crate::progress::Progress;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// See the module. One client serves one command; it is not shared between threads.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    /// Open connections by the address they were made to.
    connections: HashMap<Address, Connection>,
    /// The address whose connection answers questions that any broker can answer.
    home: Address,
    /// Brokers by id, as the last metadata named them.
    brokers: BTreeMap<i32, Address>,
}

impl Client {
    /// Connects to the first bootstrap address that leads to a broker.
    ///
    /// # Errors
    /// [`Error::Unreachable`] with the cause for every address.
    pub fn connect(settings: Settings) -> Result<Client, Error> {
        let connection = connect::first(&settings.bootstrap, &settings.client_id, settings.connect_timeout)?;
        let home = connection.address().clone();
        let connections = HashMap::from([(home.clone(), connection)]);
        Ok(Client { settings, connections, home, brokers: BTreeMap::new() })
    }

    /// What the client was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks whichever broker is connected. Requests for the controller go here too: brokers pass them on.
    pub fn any<Q: Api>(&mut self, request: &Q) -> Result<Answer<Q>, Error> {
        let home = self.home()?.address().clone();
        let _progress = self.progress::<Q>(&home);
        self.ask(&home, request, self.settings.request_timeout)
    }

    /// Asks one broker by its id.
    pub fn broker<Q: Api>(&mut self, id: i32, request: &Q) -> Result<Answer<Q>, Error> {
        let address = self.address_of(id)?;
        let _progress = self.progress::<Q>(&address);
        self.ask(&address, request, self.settings.request_timeout)
    }

    /// The same with a time of its own and without a sign of life, for requests that the broker holds back: long polls, joins.
    pub fn broker_within<Q: Api>(&mut self, id: i32, request: &Q, within: Duration) -> Result<Answer<Q>, Error> {
        let address = self.address_of(id)?;
        self.ask(&address, request, within)
    }

    /// Sends one broker a request that has no answer.
    pub fn tell_broker<Q: Api>(&mut self, id: i32, request: &Q) -> Result<(), Error> {
        let address = self.address_of(id)?;
        let within = self.settings.request_timeout;
        self.connection(&address)?.tell(request, within).inspect_err(|_| self.forget(&address))
    }

    /// The connection that [`any`](Self::any) uses; a new one, to any bootstrap address, if the last one broke.
    pub fn home(&mut self) -> Result<&mut Connection, Error> {
        if !self.connections.contains_key(&self.home) {
            let Settings { bootstrap, client_id, connect_timeout, .. } = &self.settings;
            let connection = connect::first(bootstrap, client_id, *connect_timeout)?;
            self.home = connection.address().clone();
            self.connections.insert(self.home.clone(), connection);
        }
        let home = self.home.clone();
        self.connection(&home)
    }

    /// The address of a broker; asks for metadata if the id is new.
    fn address_of(&mut self, id: i32) -> Result<Address, Error> {
        if !self.brokers.contains_key(&id) {
            self.metadata(Topics::None)?;
        }
        let unknown = || Error::UnknownBroker { id, known: self.brokers.keys().copied().collect() };
        self.brokers.get(&id).cloned().ok_or_else(unknown)
    }

    /// Tells the user who is waited for, should it take long.
    fn progress<Q: Api>(&self, address: &Address) -> Progress {
        Progress::begin(self.settings.signs, format!("waiting for {address} to answer {:?}", Q::KEY))
    }

    fn ask<Q: Api>(&mut self, address: &Address, request: &Q, within: Duration) -> Result<Answer<Q>, Error> {
        let answer = self.connection(address)?.ask(request, within);
        // After an answer that did not come, the next bytes on the connection would belong to nobody knows what.
        answer.inspect_err(|error| {
            if matches!(error, Error::Lost { .. } | Error::Late { .. } | Error::Unreadable { .. }) {
                self.forget(address);
            }
        })
    }

    fn forget(&mut self, address: &Address) {
        self.connections.remove(address);
    }

    fn connection(&mut self, address: &Address) -> Result<&mut Connection, Error> {
        if !self.connections.contains_key(address) {
            let Settings { client_id, connect_timeout, .. } = &self.settings;
            let made = connect::one(address, client_id, *connect_timeout)
                .map_err(|cause| unreachable(address.clone(), cause))?;
            self.connections.insert(address.clone(), made);
        }
        #[expect(clippy::expect_used, reason = "it was put there above if it was missing")]
        Ok(self.connections.get_mut(address).expect("a connection"))
    }
}

/// A broker that the cluster named and that cannot be reached there.
fn unreachable(address: Address, cause: Cause) -> Error {
    Unreachable { attempts: vec![(address, cause)], named_by_cluster: true }.into()
}
