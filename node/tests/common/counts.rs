//! What the shards of a broker say they have done: the counts that it logs at SIGUSR1.

use super::{Broker, Client};
use std::collections::HashMap;
use std::ops::Index;

/// Counts of one shard.
#[derive(Clone, Debug)]
pub struct Counts(HashMap<String, u64>);

impl Counts {
    fn parse(text: &str) -> Counts {
        let pairs = text.split_whitespace().filter_map(|word| word.split_once('='));
        Counts(pairs.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect())
    }

    /// What was done since `before`.
    pub fn since(&self, before: &Counts) -> Counts {
        Counts(self.0.iter().map(|(name, value)| (name.clone(), value.saturating_sub(before[name]))).collect())
    }

    /// Everything that was copied of what travels between socket and tail.
    pub fn copied(&self) -> u64 {
        ["copied_driver", "copied_moved", "copied_kept", "copied_tail", "copied_fetched"]
            .map(|name| self[name])
            .iter()
            .sum()
    }
}

impl Index<&str> for Counts {
    type Output = u64;

    fn index(&self, name: &str) -> &u64 {
        self.0.get(name).unwrap_or_else(|| panic!("there is no count of {name}"))
    }
}

impl Index<&String> for Counts {
    type Output = u64;

    fn index(&self, name: &String) -> &u64 {
        &self[name.as_str()]
    }
}

impl Broker {
    /// The counts of each of `shards` shards.
    pub fn counts(&self, shards: usize) -> Vec<Counts> {
        self.signal("USR1");
        let mut counts: Vec<Option<Counts>> = vec![None; shards];
        while counts.iter().any(Option::is_none) {
            let line = self.logged("counts of shard ");
            let (_, line) = line.split_once("counts of shard ").expect("it was looked for");
            let (shard, line) = line.split_once(": ").expect("the number of the shard");
            counts[shard.parse::<usize>().expect("a number")] = Some(Counts::parse(line));
        }
        counts.into_iter().flatten().collect()
    }

    /// What each shard does while `what` happens.
    pub fn counted(&self, shards: usize, what: impl FnOnce()) -> Vec<Counts> {
        let before = self.counts(shards);
        what();
        self.counts(shards).iter().zip(&before).map(|(after, before)| after.since(before)).collect()
    }

    /// The shard that has this client's connection.
    pub fn shard_of(&self, client: &mut Client, shards: usize) -> usize {
        let done = self.counted(shards, || drop(client.metadata("__nothing_of_that_name")));
        done.iter().position(|done| done["requests"] > 0).expect("some shard was asked")
    }

    /// The shard that has this partition, which gets one record.
    pub fn owner_of(&self, topic: &str, partition: i32, shards: usize) -> usize {
        let done = self.counted(shards, || assert_eq!(self.client().produce(topic, partition, &["who"]).0, 0));
        done.iter().position(|done| done["produced_bytes"] > 0).expect("some shard has it")
    }
}
