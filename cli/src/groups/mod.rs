//! Consumer groups: `ringlog groups`, `kafka-consumer-groups`.
