//! Misfortunes carried out.

use super::Run;
use crate::cluster::client::Client;
use crate::cluster::nemesis::Deed;
use crate::cluster::violation::Violation;

impl Run {
    pub(super) fn strike(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
        let now = self.world.now();
        let Some(deed) = self.nemesis.strike(now) else { return Ok(()) };
        tell(&format!("{now:?} {deed:?}"));
        match deed {
            Deed::EndAfter { nth, end } => self.world.end_after(nth, end),
            Deed::EndAmongNames { nth, end } => self.world.end_after_names(nth, end),
            Deed::Stop => {
                if let Some(process) = &mut self.process {
                    process.request_stop();
                }
            }
            Deed::Disk { slowness, stuck_ms } => self.world.faults(|faults| {
                faults.disk_slowness = slowness;
                faults.disk_stuck_until = now.plus_millis(stuck_ms);
            }),
            Deed::Full { spare } => {
                let used = self.world.used_bytes();
                self.world.faults(|faults| faults.capacity = spare.map_or(u64::MAX, |spare| used + spare));
            }
            Deed::Hold { to_node_ms, to_peer_ms } => {
                let count = self.clients.len() as u64;
                let held = |client: &mut Client| {
                    client.remote_mut().hold(now.plus_millis(to_node_ms), now.plus_millis(to_peer_ms));
                };
                if count > 0 {
                    let at = self.rng.below(count) as usize;
                    held(&mut self.clients[at]);
                }
            }
            Deed::JumpWall { by_ms } => self.world.jump_wall(by_ms),
            Deed::DriftWall { ppm } => self.world.drift_wall(ppm),
        }
        Ok(())
    }
}
