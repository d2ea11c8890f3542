//! A real file system on a loop device whose power can be cut. Everything is unmounted and detached in the end, also when
//! the test fails.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// `FS_IOC_SHUTDOWN`: `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::c_ulong = 0x8004_587D;
/// Its argument: not even the journal is flushed.
const NO_LOG_FLUSH: u32 = 2;
/// Longest that the kernel may hold on to a file after its ring has gone.
const UNMOUNT: Duration = Duration::from_secs(10);

/// Which file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ext4,
    Xfs,
}

impl Kind {
    /// The program that makes one, its arguments, and the smallest size that it takes, in bytes.
    fn maker(self) -> (&'static str, &'static [&'static str], u64) {
        match self {
            Kind::Ext4 => ("mkfs.ext4", &["-q", "-F", "-m", "0"], 32 << 20),
            Kind::Xfs => ("mkfs.xfs", &["-q", "-f"], 320 << 20),
        }
    }
}

pub(crate) struct LoopDisk {
    device: String,
    point: PathBuf,
    /// Holds the image and the mount point.
    _folder: tempfile::TempDir,
}

impl LoopDisk {
    /// `None`, with the reason printed, where that cannot be had.
    pub(crate) fn mount(kind: Kind) -> Option<LoopDisk> {
        match LoopDisk::try_mount(kind) {
            Ok(disk) => Some(disk),
            Err(reason) => {
                println!("skipped: no {kind:?} on a loop device, which needs root and its mkfs: {reason}");
                None
            }
        }
    }

    fn try_mount(kind: Kind) -> Result<LoopDisk, String> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo gives tests a folder");
        let (image, point) = (folder.path().join("image"), folder.path().join("mounted"));
        let (program, args, bytes) = kind.maker();
        File::create(&image).and_then(|file| file.set_len(bytes)).expect("a sparse file");
        std::fs::create_dir(&point).expect("new");
        say(Command::new(program).args(args).arg(&image))?;
        let device = attach(&image)?;
        let disk = LoopDisk { device, point, _folder: folder };
        say(Command::new("mount").arg(&disk.device).arg(&disk.point))?;
        Ok(disk)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.point
    }

    /// The power fails and comes back. No file may be open, and no driver may live.
    pub(crate) fn cut_power(&mut self) {
        let root = File::open(&self.point).expect("it is mounted");
        let flag = NO_LOG_FLUSH;
        // SAFETY: the kernel reads one word from `flag`, which lives across the call; the descriptor is open.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &raw const flag) };
        assert_eq!(result, 0, "shutdown: {}", std::io::Error::last_os_error());
        drop(root);
        let end = Instant::now() + UNMOUNT;
        while let Err(reason) = say(Command::new("umount").arg(&self.point)) {
            assert!(Instant::now() < end, "{reason}");
            std::thread::sleep(Duration::from_millis(5));
        }
        say(Command::new("mount").arg(&self.device).arg(&self.point)).expect("its journal is good");
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have files open there.
        let _ = say(Command::new("umount").arg("-l").arg(&self.point));
        let _ = say(Command::new("losetup").arg("-d").arg(&self.device));
    }
}

/// Attaches a free loop device; others may be looking for one at the same time.
fn attach(image: &Path) -> Result<String, String> {
    let mut last = String::new();
    for _ in 0..10 {
        match say(Command::new("losetup").args(["--find", "--show"]).arg(image)) {
            Ok(device) => return Ok(device),
            Err(reason) => last = reason,
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(last)
}

/// Makes everything on the file system of `path` durable.
pub(crate) fn sync_fs(path: &Path) {
    let folder = File::open(path).expect("it is there");
    // SAFETY: a call without pointers on an open descriptor.
    assert_eq!(unsafe { libc::syncfs(folder.as_raw_fd()) }, 0, "syncfs: {}", std::io::Error::last_os_error());
}

/// Runs a command and gives its output, or what it complained about.
fn say(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{command:?}: {}", text(&output.stderr)))
    }
}
