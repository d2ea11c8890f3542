//! Messages between cores: one bounded ring for each ordered pair, and waking a parked reader without losing a wake-up.
