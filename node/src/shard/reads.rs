//! What a shard reads from the disk for its broker, beside the turn: records that are not in memory, searches by time, and how full
//! the folders are.

use super::Shard;
use crate::cold::ColdRead;
use crate::store::{self, Mem};
use broker::Input;
use broker::io::ReadFault;
use broker::log_dirs::Volume;
use broker::store::LogId;
use engine::io::Op;
use engine::log::{Read, ReadError};
use std::rc::Rc;

impl Shard {
    /// Begins the reads for which there is memory, and says what the others wait for.
    pub(super) fn begin_reads(&mut self) {
        let again = self.searches.take();
        again.into_iter().for_each(|(ticket, log, timestamp)| self.find_time(ticket, log, timestamp));
        loop {
            let held_bytes = self.broker.store().logs.read_held_bytes();
            let Some(read) = self.cold.borrow_mut().next(held_bytes) else { break };
            self.read_disk(read);
        }
        while let Some(ticket) = self.cold.borrow_mut().give_up(self.io.now()) {
            self.found.borrow_mut().push_back(Input::ReadDone { ticket, result: Ok(Vec::new()) });
        }
        let wanted_bytes = self.cold.borrow().waiting_bytes();
        self.stages.want(self.wanted_bytes, wanted_bytes);
        self.wanted_bytes = wanted_bytes;
        self.transport.set_wanted(self.stages.wanted_bytes());
    }

    pub(super) fn read_disk(&mut self, cold_read: ColdRead) {
        let ColdRead { ticket, log, range, cost_bytes, .. } = cold_read;
        let store = self.broker.store_mut();
        let result = match store.look(log, range) {
            Read::Bytes(slices) => Ok(store::chunks(slices)),
            Read::End => Ok(Vec::new()),
            Read::OutOfRange => Err(ReadFault::Gone),
            Read::Disk(plan) => {
                let read = store.logs.read_disk(plan);
                let (found, cold) = (Rc::clone(&self.found), Rc::clone(&self.cold));
                return self.io.spawn(async move {
                    let result = read.await;
                    cold.borrow_mut().done(cost_bytes);
                    if let Err(ReadError::Gone) = result {
                        marks::reached!("node: a read met a segment that was replaced");
                        return cold.borrow_mut().ask_again(cold_read);
                    }
                    let result = result.map(store::chunks).map_err(store::fault);
                    found.borrow_mut().push_back(Input::ReadDone { ticket, result });
                });
            }
        };
        self.cold.borrow_mut().done(cost_bytes);
        self.found.borrow_mut().push_back(Input::ReadDone { ticket, result });
    }

    pub(super) fn measure_dirs(&mut self, ticket: u64) {
        let dirs = self.broker.store().dirs().to_vec();
        let (io, found) = (self.io.clone(), Rc::clone(&self.found));
        self.io.spawn(async move {
            let mut volumes = Vec::new();
            for dir in dirs {
                let done = io.call(Op::FreeSpace { path: dir.path, free: 0, total: 0 }).await;
                let measured = done.result.is_ok() && dir.is_online;
                let Op::FreeSpace { free, total, .. } = done.op else { unreachable!("a completion returns its op") };
                volumes.push(measured.then_some(Volume { total_bytes: total, usable_bytes: free }));
            }
            found.borrow_mut().push_back(Input::DirsMeasured { ticket, volumes });
        });
    }

    pub(super) fn find_time(&mut self, ticket: u64, log: LogId, timestamp: i64) {
        let search = self.broker.store_mut().logs.lookup_time(store::engine_id(log), timestamp);
        let (found, searches) = (Rc::clone(&self.found), Rc::clone(&self.searches));
        self.io.spawn(async move {
            let result = search.await;
            if let Err(ReadError::Gone) = result {
                return searches.borrow_mut().push((ticket, log, timestamp));
            }
            let result = result.map(|hit| hit.map(|hit| Mem::Slice(hit.bytes))).map_err(store::fault);
            found.borrow_mut().push_back(Input::TimeFound { ticket, result });
        });
    }
}
