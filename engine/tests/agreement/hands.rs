//! Performs steps through a driver, one at a time, and puts what came of each into words; and looks at what is there.

use crate::plan::{SLOTS, Step};
use engine::io::sim::{Seen, SimWorld};
use engine::io::{Done, Driver, FileId, Op, Owner, Token};
use engine::mem::{Buf, Slice};
use std::path::{Path, PathBuf};

/// Turns of a millisecond at most that one operation may take.
const TURNS_MAX: u32 = 60_000;

pub(crate) struct Hands {
    driver: Box<dyn Driver>,
    root: PathBuf,
    slots: [Option<FileId>; SLOTS],
    next: u64,
}

impl Hands {
    pub(crate) fn new(driver: Box<dyn Driver>, root: impl Into<PathBuf>) -> Hands {
        Hands { driver, root: root.into(), slots: [None; SLOTS], next: 0 }
    }

    fn run(&mut self, op: Op) -> Done {
        self.next += 1;
        let token = Token::new(Owner::Node, self.next);
        self.driver.submit(token, op);
        let mut out = Vec::new();
        for _ in 0..TURNS_MAX {
            self.driver.reap(&mut out);
            if let Some(done) = out.pop() {
                assert!(done.token == token && out.is_empty(), "only one op is under way");
                return done;
            }
            let until = self.driver.now().plus_millis(1);
            self.driver.park(Some(until));
        }
        panic!("an op never completed");
    }

    /// What came of a step, for comparison: `ok` with its answer, or the errno.
    pub(crate) fn perform(&mut self, step: &Step) -> String {
        let Some(op) = self.op(step) else { return "ok: nothing is open there".to_owned() };
        let Done { result, op, .. } = self.run(op);
        let count = match result {
            Ok(count) => count,
            // POSIX allows either for a folder that is not empty: ext4 says this, xfs says that.
            Err(error) if matches!(step, Step::Rename { .. }) && error.raw_os_error() == Some(libc::EEXIST) => {
                return format!("errno {:?}", Some(libc::ENOTEMPTY));
            }
            Err(error) => return format!("errno {:?}", error.raw_os_error()),
        };
        match (op, step) {
            (Op::Open { len, .. }, Step::Open { slot, .. }) => {
                self.slots[*slot] = Some(FileId(count));
                format!("ok: {len} bytes")
            }
            (Op::Read { buf, .. }, _) => format!("ok: {count} bytes: {}", in_runs(buf.as_slice())),
            (Op::List { entries, .. }, _) => format!("ok: {entries:?}"),
            (Op::WriteV { .. }, _) => format!("ok: {count} bytes"),
            _ => "ok".to_owned(),
        }
    }

    /// The op of a step; `None` where it has no file.
    fn op(&mut self, step: &Step) -> Option<Op> {
        Some(match *step {
            Step::Open { slot, path, mode } => {
                if let Some(file) = self.slots[slot].take() {
                    self.run(Op::Close { file });
                }
                Op::Open { path: self.path(path), mode, len: 0 }
            }
            Step::Close { slot } => Op::Close { file: self.slots[slot].take()? },
            Step::Write { slot, at, len, fill } => {
                let bytes: Vec<u8> = (0..len).map(|index| fill ^ (index / 512) as u8).collect();
                Op::WriteV { file: self.slots[slot]?, at, bufs: vec![Slice::copy_of(&bytes)] }
            }
            Step::Read { slot, at, room } => {
                Op::Read { file: self.slots[slot]?, at, buf: Buf::with_capacity(room as usize) }
            }
            Step::Sync { slot } => Op::SyncData { file: self.slots[slot]? },
            Step::Allocate { slot, at, len } => Op::Allocate { file: self.slots[slot]?, at, len },
            Step::SetLen { slot, len } => Op::SetLen { file: self.slots[slot]?, len },
            Step::Rename { from, to } => Op::Rename { from: self.path(from), to: self.path(to) },
            Step::Unlink { path } => Op::Unlink { path: self.path(path) },
            Step::MakeDir { path } => Op::MakeDir { path: self.path(path) },
            Step::RemoveDir { path } => Op::RemoveDir { path: self.path(path) },
            Step::SyncDir { path } => Op::SyncDir { path: self.path(path) },
            Step::List { path } => Op::List { path: self.path(path), entries: Vec::new() },
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }
}

/// Bytes as runs of equal ones.
fn in_runs(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|one, next| one == next);
    runs.map(|run| format!("{}x{:02x} ", run.len(), run[0])).collect()
}

/// What is below a folder of a real disk, as the simulated one names it.
pub(crate) fn see(root: &Path) -> Seen {
    let mut seen = Seen::new();
    let sim_root = PathBuf::from(crate::SIM_ROOT);
    if root.is_dir() {
        seen.insert(sim_root.clone(), None);
        look(root, &sim_root, &mut seen);
    }
    seen
}

fn look(folder: &Path, name: &Path, seen: &mut Seen) {
    for entry in std::fs::read_dir(folder).expect("it is a folder") {
        let path = entry.expect("it is readable").path();
        let name = name.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            look(&path, &name, seen);
            seen.insert(name, None);
        } else {
            seen.insert(name, Some(std::fs::read(&path).expect("it is readable")));
        }
    }
}

/// The same for a simulated disk, from what it lists.
pub(crate) fn see_simulated(world: &SimWorld) -> Seen {
    let mut seen = Seen::new();
    let mut driver = Hands::new(Box::new(world.driver()), "/");
    let mut folders = vec![PathBuf::from(crate::SIM_ROOT)];
    while let Some(folder) = folders.pop() {
        let done = driver.run(Op::List { path: folder.clone(), entries: Vec::new() });
        let Op::List { entries, .. } = done.op else { unreachable!("a completion returns its op") };
        seen.insert(folder.clone(), None);
        for entry in entries {
            let path = folder.join(&entry.name);
            if entry.is_dir {
                folders.push(path);
            } else {
                let bytes = world.read_file(&path).expect("it was listed");
                seen.insert(path, Some(bytes));
            }
        }
    }
    seen
}
