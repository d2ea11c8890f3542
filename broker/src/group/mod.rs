//! Consumer groups, the classic protocol: a pure coordinator machine, its record formats, and how the broker wires it. The APIs'
//! requests are decoded and their answers encoded in `api`.

mod commit;
mod coordinator;
mod delete;
mod describe;
mod effects;
mod expiry;
mod fetch;
mod hash;
mod heartbeat;
mod ids;
mod join;
mod leave;
mod limits;
mod load;
mod member;
mod offsets;
mod rebalance;
mod records;
mod settings;
mod state;
mod subscription;
mod sync;
mod timers;

#[cfg(test)]
mod tests;
