//! The `posix` driver.
