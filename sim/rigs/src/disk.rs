//! A file system of our own on a loop device, and what runs that crashed left of theirs.
//!
//! The device is a file; cutting the power stops the file system from writing to it, and mounting it again replays its
//! journal. What a disk's own volatile cache would lose is not modelled: that is the simulator's part.

use crate::sys;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Begins the name of everything that a rig makes; the maker's process id follows.
pub const NAME: &str = "ringlog-rigs-";

/// XFS refuses less than 300 MB. The file is sparse.
const IMAGE_BYTES: u64 = 512 << 20;
/// How long the kernel may hold files of a process that was killed.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// Which file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4 with its defaults.
    Ext4,
    /// XFS with its defaults.
    Xfs,
}

/// Why there is no such disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A program says no.
    #[error("{command}: {said}")]
    Command {
        /// Its command line.
        command: String,
        /// What it said, or why it could not run.
        said: String,
    },
    /// A file or folder could not be made, opened or cut off.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
}

impl FileSystem {
    /// As mount calls it.
    pub fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        }
    }

    /// What keeps this machine from making such a disk, if anything does.
    pub fn missing(self) -> Option<String> {
        let make = format!("mkfs.{}", self.name());
        if !sys::is_root() {
            Some("mounting needs root".into())
        } else if !Path::new("/dev/loop-control").exists() {
            Some("there are no loop devices".into())
        } else if Command::new(&make).arg("-V").output().is_err() {
            Some(format!("{make} is not installed (Debian: xfsprogs, e2fsprogs)"))
        } else {
            None
        }
    }
}

/// A mounted disk. Dropping it unmounts it and removes its file.
#[derive(Debug)]
pub struct Disk {
    file_system: FileSystem,
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes and mounts an empty one; its file and its mount point are in `folder`.
    pub fn make(folder: &Path, file_system: FileSystem) -> Result<Disk, DiskError> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let name = format!("{NAME}{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        Disk::make_named(folder, &name, file_system)
    }

    fn make_named(folder: &Path, name: &str, file_system: FileSystem) -> Result<Disk, DiskError> {
        let (image, mount) = (folder.join(format!("{name}.img")), folder.join(name));
        let disk = Disk { file_system, image, mount };
        let made = File::create_new(&disk.image).and_then(|file| file.set_len(IMAGE_BYTES));
        made.map_err(|error| DiskError::File { path: disk.image.clone(), error })?;
        fs::create_dir(&disk.mount).map_err(|error| DiskError::File { path: disk.mount.clone(), error })?;
        let (program, quiet): (_, &[&str]) = match file_system {
            FileSystem::Ext4 => ("mkfs.ext4", &["-q", "-F"]),
            FileSystem::Xfs => ("mkfs.xfs", &["-q", "-f"]),
        };
        run(Command::new(program).args(quiet).arg(&disk.image))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// From here on nothing reaches the device, and everything that tries fails.
    pub fn cut_power(&self) -> Result<(), DiskError> {
        sys::cut_power(&self.mount).map_err(|error| DiskError::File { path: self.mount.clone(), error })
    }

    /// Power is back: the file system is mounted anew, which replays its journal. No process uses it any more.
    pub fn power_up(&self) -> Result<(), DiskError> {
        unmount(&self.mount)?;
        self.mount()
    }

    fn mount(&self) -> Result<(), DiskError> {
        // The loop device goes with the mount.
        run(Command::new("mount").args(["-o", "loop", "-t", self.file_system.name()]).args([&self.image, &self.mount]))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.image, &self.mount) {
            eprintln!("rigs: left behind: {error}");
        }
    }
}

/// Removes disks and data folders in `folder` whose makers are no more. Nothing else is touched.
pub fn remove_leftovers(folder: &Path) -> Result<(), DiskError> {
    let failed = |path: &Path, error| DiskError::File { path: path.to_owned(), error };
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).map_err(|error| failed(folder, error))?.flatten().map(|entry| entry.path()).collect();
    let (images, others): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .filter(|path| is_orphan(path))
        .partition(|path| path.extension().is_some_and(|extension| extension == "img"));
    for image in images {
        eprintln!("rigs: removing {}, which a run left that was cut short", image.display());
        remove(&image, &image.with_extension(""))?;
    }
    for data in others.iter().filter(|path| path.is_dir() && !is_mounted(path)) {
        eprintln!("rigs: removing {}, which a run left that was cut short", data.display());
        fs::remove_dir_all(data).map_err(|error| failed(data, error))?;
    }
    Ok(())
}

/// True for a name of ours whose maker has ended.
fn is_orphan(path: &Path) -> bool {
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let maker = name.strip_prefix(NAME).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

fn remove(image: &Path, mount: &Path) -> Result<(), DiskError> {
    if is_mounted(mount) {
        unmount(mount)?;
    }
    detach(image)?;
    for (path, removed) in [(mount, fs::remove_dir(mount)), (image, fs::remove_file(image))] {
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DiskError::File { path: path.to_owned(), error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Waits for whatever the kernel still holds of a killed process.
fn unmount(mount: &Path) -> Result<(), DiskError> {
    let end = Instant::now() + BUSY_MAX;
    loop {
        match run(Command::new("umount").arg(mount)) {
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
}

/// A maker that died between attaching and mounting left the loop device.
fn detach(image: &Path) -> Result<(), DiskError> {
    if !image.exists() {
        return Ok(());
    }
    let mut ask = Command::new("losetup");
    ask.args(["--noheadings", "--output", "NAME", "--associated"]).arg(image);
    let text = ask.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().try_for_each(|device| run(Command::new("losetup").args(["--detach", device])))
}

fn is_mounted(mount: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().filter_map(|line| line.split(' ').nth(1)).any(|point| Path::new(point) == mount)
}

fn run(command: &mut Command) -> Result<(), DiskError> {
    let said = match command.output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(DiskError::Command { command: format!("{command:?}"), said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crashed_run_left_goes_and_nothing_else() {
        if let Some(reason) = FileSystem::Ext4.missing() {
            return println!("not run: {reason}");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Linux gives out no process id above 2^22.
        let left = Disk::make_named(folder.path(), &format!("{NAME}4194305-0"), FileSystem::Ext4).expect("a disk");
        let point = left.path().to_owned();
        std::mem::forget(left);
        let mine = Disk::make(folder.path(), FileSystem::Ext4).expect("another");
        fs::create_dir(folder.path().join(format!("{NAME}4194305-x"))).expect("a data folder");
        fs::write(folder.path().join("other.img"), "not ours").expect("a file");
        assert!(is_mounted(&point) && is_mounted(mine.path()));
        remove_leftovers(folder.path()).expect("it works");
        assert!(!is_mounted(&point) && is_mounted(mine.path()));
        drop(mine);
        let names: Vec<_> =
            fs::read_dir(folder.path()).expect("it is there").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["other.img"]);
    }

    #[test]
    fn only_names_of_ended_makers_are_orphans() {
        let mine = format!("/tmp/{NAME}{}-0.img", std::process::id());
        assert!(!is_orphan(Path::new(&mine)), "its maker lives");
        assert!(is_orphan(Path::new(&format!("/tmp/{NAME}4194305-3.img"))));
        for other in
            ["/tmp/data.img", "/tmp/ringlog-rigs-.img", "/tmp/ringlog-rigs-abc-1.img", "/tmp/my-ringlog-rigs-1-1.img"]
        {
            assert!(!is_orphan(Path::new(other)), "{other}");
        }
    }
}
