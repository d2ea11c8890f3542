//! Random members, a random disk and random crashes, by seed.
