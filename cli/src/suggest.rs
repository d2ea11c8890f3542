//! Did you mean: the known name that a mistyped one is closest to.

/// The most similar of `known`, if it is similar enough to have been meant.
pub fn nearest<'a>(got: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let got = got.to_lowercase();
    let score = |name: &str| strsim::jaro_winkler(&got, &name.to_lowercase());
    let best = known.into_iter().map(|name| (score(name), name)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    // Below this, names share a beginning and nothing else: retention.ms for request.timeout.ms.
    (best.0 >= 0.87).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_name() {
        let known = ["retention.ms", "retention.bytes", "cleanup.policy", "orders", "payments"];
        for (got, expect) in [
            ("retention.mss", Some("retention.ms")),
            ("retension.ms", Some("retention.ms")),
            ("cleanup-policy", Some("cleanup.policy")),
            ("order", Some("orders")),
            ("Orders", Some("orders")),
            ("shipments", None),
            ("", None),
        ] {
            assert_eq!(nearest(got, known), expect, "{got}");
        }
    }
}
