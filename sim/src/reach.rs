//! States that runs have to reach: the marks in the code, and which of them a campaign has seen.

/// Every mark. A test holds the list against the sources.
pub const MARKS: &[&str] = &[
    "engine: a file was recycled",
    "engine: a torn tail was cut",
    "engine: the journal went round",
    "engine: the journal was put into its segments",
    "engine: records of the journal were made void",
    "engine: segments behind a hole were dropped",
    "engine: rot made a log read-only",
    "engine: a start finished a compaction",
    "engine: segments were replaced by their compacted form",
    "broker: a batch was sent again and was there",
    "broker: a commit of an old generation was refused",
    "broker: a generation of several members formed",
    "broker: a heartbeat that waited was told news",
    "broker: a member of an old epoch was fenced",
    "broker: a member waited for another to give partitions up",
    "broker: a commit of an old member epoch was refused",
    "broker: an append waited for memory",
    "node: a connection moved to another shard",
    "node: a large batch was received in place",
    "node: a log was fenced",
    "node: a log was moved to another directory",
    "node: a read met a segment that was replaced",
    "node: a full log healed",
    "node: damaged records were refused",
];

/// Marks that nothing has reached in this process.
pub fn missing() -> Vec<&'static str> {
    let reached = marks::reached();
    MARKS.iter().copied().filter(|mark| !reached.contains(mark)).collect()
}

/// Every literal behind `prefix` in the sources of the product.
#[cfg(test)]
pub(crate) fn literals(prefix: &str) -> std::collections::BTreeSet<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let mut queue: Vec<_> =
        ["engine/src", "broker/src", "node/src", "transport-tcp/src"].map(|dir| root.join(dir)).into();
    let mut found = std::collections::BTreeSet::new();
    while let Some(path) = queue.pop() {
        if path.is_dir() {
            queue.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let names = text.split(prefix).skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(names.map(str::to_owned));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_what_is_marked() {
        let listed = MARKS.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(literals("reached!(\""), listed);
    }
}
