//! The `uring` driver.
