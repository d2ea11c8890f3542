//! Configuration as data: what keys exist, what values they take, and what a topic's settings come to.
//!
//! Where values come from (files, flags) is the `node` crate's business; what changed at run time is in the
//! [metadata image](crate::image).

pub mod alter;
pub mod broker;
pub mod cleaner;
pub mod client_metrics;
pub mod durability;
pub mod group;
pub mod layers;
pub mod resource;
pub mod topic;
pub mod topic_settings;
pub mod value;

pub use cleaner::CleanerSettings;
pub use durability::DurabilityClass;
pub use layers::{Layers, Source, Values};
pub use topic_settings::TopicSettings;
pub use value::{Kind, Refusal, Rule};
