//! What a transport has done so far, to be shown and to be asserted: every byte that it moved by itself is in here.

/// Counts since the transport was made. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Receives that brought something.
    pub receives: u64,
    /// Bytes that they brought.
    pub received_bytes: u64,
    /// Whole frames among them.
    pub frames: u64,
    /// Bytes of frames that were moved from where they were received into memory of the frame, or into its place.
    pub moved_bytes: u64,
    /// Bytes of small frames that may stay and were moved out of a buffer that is much larger.
    pub kept_bytes: u64,
    /// Connections that went to other shards, those among them that were accepted here and dealt out at once.
    pub moved_away: u64,
    /// Answers that were put into sends.
    pub answers: u64,
    /// Sends, each with everything that was due on its connection.
    pub sends: u64,
    /// Bytes in them; none of these are copied here.
    pub sent_bytes: u64,
}
