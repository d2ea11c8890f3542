//! The `sim` driver.
