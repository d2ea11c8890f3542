//! The consumer as a member of a group: what it takes over and gives up, and what it commits.

use super::{Consumer, PAUSE, Position};
use crate::console::assign::{Assignor, Place};
use crate::console::member::{Event, Member};
use crate::failure::Failure;
use std::collections::BTreeSet;
use std::time::Instant;

impl Consumer<'_> {
    pub(super) fn follow_group(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.member.as_ref().and_then(Member::poll) {
            self.on_event(event)?;
        }
        Ok(())
    }

    pub(super) fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Assigned(places) => self.assign(places),
            Event::Rebalance => {
                self.commit_and_wait()?;
                self.rejoin();
                Ok(())
            }
            Event::Lost(why) => {
                self.sink.notice(format!("left the group: {why}; joining again"));
                self.drop_all();
                self.join(Vec::new());
                Ok(())
            }
            Event::Committed(outcome) => {
                self.is_committing = false;
                if let Err(error) = outcome {
                    self.sink.notice(format!("offsets were not committed: {error}"));
                    self.committed.clear();
                }
                Ok(())
            }
            Event::Failed(error) => Err(error.into()),
        }
    }

    pub(super) fn is_cooperative(&self) -> bool {
        let settings = self.plan.group.as_ref();
        settings
            .is_some_and(|s| s.is_modern || s.assignors.iter().all(|assignor| *assignor == Assignor::CooperativeSticky))
    }

    /// Joins again: with what it has, where nobody can get that meanwhile, or without anything.
    pub(super) fn rejoin(&mut self) {
        if self.is_cooperative() {
            self.join(self.positions.keys().cloned().collect());
        } else {
            self.drop_all();
            self.join(Vec::new());
        }
    }

    pub(super) fn join(&mut self, owned: Vec<Place>) {
        self.is_settled = false;
        if let Some(member) = &self.member {
            member.join(self.subscribed.clone(), owned);
        }
    }

    pub(super) fn drop_all(&mut self) {
        self.positions.clear();
        self.queue.clear();
        self.committed.clear();
    }

    pub(super) fn assign(&mut self, places: Vec<Place>) -> Result<(), Failure> {
        let wanted: BTreeSet<Place> = places.iter().cloned().collect();
        let given_up: Vec<Place> = self.positions.keys().filter(|place| !wanted.contains(*place)).cloned().collect();
        if !given_up.is_empty() {
            self.commit_and_wait()?;
            self.give_up(&given_up);
        }
        let new: Vec<Place> = wanted.into_iter().filter(|place| !self.positions.contains_key(place)).collect();
        self.begin(&new)?;
        self.is_settled = true;
        let Some(member) = &self.member else { return Ok(()) };
        if self.plan.group.as_ref().is_some_and(|settings| settings.is_modern) {
            member.owns(places);
        } else if !given_up.is_empty() && self.is_cooperative() {
            // What was given up can be assigned to others only now.
            self.rejoin();
        }
        Ok(())
    }

    pub(super) fn give_up(&mut self, places: &[Place]) {
        self.positions.retain(|place, _| !places.contains(place));
        self.queue.retain(|chunk| !places.contains(chunk.place()));
        self.committed.retain(|place, _| !places.contains(place));
    }

    pub(super) fn to_commit(&self) -> Vec<(Place, i64)> {
        let moved = |(place, position): (&Place, &Position)| {
            (self.committed.get(place) != Some(&position.next)).then(|| (place.clone(), position.next))
        };
        self.positions.iter().filter_map(moved).collect()
    }

    pub(super) fn commit_if_due(&mut self) {
        let Some(every) = self.plan.auto_commit else { return };
        if !self.is_committing && Instant::now() >= self.commit_due {
            self.commit_due = Instant::now() + every;
            self.commit();
        }
    }

    pub(super) fn commit(&mut self) {
        let offsets = self.to_commit();
        if let Some(member) = self.member.as_ref().filter(|_| !offsets.is_empty() && self.is_settled) {
            self.committed.extend(offsets.iter().cloned());
            member.commit(offsets);
            self.is_committing = true;
        }
    }

    /// Commits what was handed out, and waits until that is done: the partitions may be another's after this.
    pub(super) fn commit_and_wait(&mut self) -> Result<(), Failure> {
        if self.plan.auto_commit.is_none() {
            return Ok(());
        }
        self.sink.flush()?;
        let end = Instant::now() + self.client.settings().request_timeout;
        self.wait_for_commit(end)?;
        self.commit();
        self.wait_for_commit(end)
    }

    pub(super) fn wait_for_commit(&mut self, end: Instant) -> Result<(), Failure> {
        while self.is_committing && Instant::now() < end {
            match self.member.as_ref().and_then(|member| member.wait(PAUSE)) {
                // A rebalance is what this waits for, or will be said again by the next heartbeat.
                None | Some(Event::Rebalance) => {}
                Some(event @ (Event::Committed(_) | Event::Failed(_))) => self.on_event(event)?,
                Some(Event::Lost(why)) => {
                    self.is_committing = false;
                    return self.on_event(Event::Lost(why));
                }
                Some(Event::Assigned(places)) => return self.assign(places),
            }
        }
        Ok(())
    }
}
