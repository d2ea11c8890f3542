//! The kernel's questions and our answers: each is passed on to the folder underneath unless a rule strikes it.

use crate::file::{Backed, Room};
use crate::rules::{Fault, OpKind, Rules, Strike};
use crate::tree::{Tree, free_space_of};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The kernel asks again each time: files change underneath when a sync loses its data.
const TTL: Duration = Duration::ZERO;
/// Largest write that the kernel sends in one piece, in bytes.
const WRITE_MAX: u32 = 1 << 20;

/// Everything that requests, rules and tests share.
pub(crate) struct Core {
    backing: PathBuf,
    pub(crate) rules: Rules,
    pub(crate) room: Room,
    tree: Mutex<Tree>,
    listings: Mutex<Listings>,
}

/// Name, number and kind of an entry.
type Entry = (OsString, u64, FileType);

/// What each open folder held when it was first read: a folder that changes meanwhile must not shift what follows.
#[derive(Default)]
struct Listings {
    open: HashMap<u64, Arc<Vec<Entry>>>,
    last: u64,
}

/// What the kernel's thread holds.
pub(crate) struct Served(pub(crate) Arc<Core>);

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Core {
    pub(crate) fn new(backing: PathBuf) -> Core {
        let (rules, room, listings) = (Rules::default(), Room::default(), Mutex::default());
        Core { backing, rules, room, tree: Mutex::new(Tree::new()), listings }
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cut_power(&self) -> io::Result<()> {
        self.tree().files().iter().try_for_each(|file| file.lose_unsynced(&self.room))
    }

    fn under(&self, path: &Path) -> PathBuf {
        self.backing.join(path)
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        Ok(self.tree().path(parent.0)?.join(name))
    }

    fn file(&self, number: u64) -> io::Result<Arc<Backed>> {
        self.tree().file(number).ok_or_else(|| errno(libc::EBADF))
    }

    fn attr(&self, number: u64) -> io::Result<FileAttr> {
        let (file, path) = {
            let tree = self.tree();
            (tree.file(number), tree.path(number)?)
        };
        let metadata = match file {
            Some(file) => file.metadata()?,
            None => std::fs::symlink_metadata(self.under(&path))?,
        };
        attr_of(number, &metadata)
    }

    fn attr_at(&self, path: &Path) -> io::Result<FileAttr> {
        std::fs::symlink_metadata(self.under(path))?;
        let number = self.tree().number(path);
        self.attr(number)
    }

    fn open(&self, number: u64, strike: Strike) -> io::Result<()> {
        fails(strike)?;
        let mut tree = self.tree();
        let path = tree.path(number)?;
        tree.hold(number, || Backed::open(&self.under(&path), false, false))
    }

    fn create(&self, path: &Path, flags: i32, strike: Strike) -> io::Result<FileAttr> {
        fails(strike)?;
        let file = Backed::open(&self.under(path), true, flags & libc::O_EXCL != 0)?;
        let number = {
            let mut tree = self.tree();
            let number = tree.number(path);
            tree.hold(number, || Ok(file))?;
            number
        };
        self.attr(number)
    }

    fn read(&self, number: u64, at: u64, size: usize, strike: Strike) -> io::Result<Vec<u8>> {
        fails(strike)?;
        let size = if let Some(Fault::Short(bytes)) = strike.fault { size.min(bytes) } else { size };
        let mut bytes = self.file(number)?.read(at, size)?;
        if let Some(Fault::Flips { at: position, bit }) = strike.fault
            && let Some(byte) = position.checked_sub(at).and_then(|index| bytes.get_mut(index as usize))
        {
            *byte ^= 1 << bit;
        }
        Ok(bytes)
    }

    fn write(&self, number: u64, at: u64, data: &[u8], strike: Strike) -> io::Result<u32> {
        fails(strike)?;
        let count = match strike.fault {
            Some(Fault::Short(bytes)) => data.len().min(bytes),
            Some(Fault::Torn(_)) => data.len() / 2,
            _ => data.len(),
        };
        self.file(number)?.write(at, &data[..count], &self.room)?;
        if let Some(Fault::Torn(code)) = strike.fault { Err(errno(code)) } else { Ok(count as u32) }
    }

    fn sync(&self, number: u64, strike: Strike) -> io::Result<()> {
        fails(strike)?;
        let file = self.file(number)?;
        match strike.fault {
            Some(Fault::LosesUnsynced(code)) => {
                file.lose_unsynced(&self.room)?;
                Err(errno(code))
            }
            Some(Fault::Lies) => Ok(()),
            _ => {
                file.sync();
                Ok(())
            }
        }
    }

    fn set_len(&self, number: u64, len: u64, strike: Strike) -> io::Result<()> {
        fails(strike)?;
        let open = self.tree().file(number);
        let file = match open {
            Some(file) => file,
            None => {
                // By path: opened for a moment, and kept for its memory of what is not durable.
                self.open(number, Strike::default())?;
                let file = self.file(number)?;
                self.tree().let_go(number);
                file
            }
        };
        file.set_len(len, &self.room)
    }

    fn rename(&self, from: &Path, to: &Path, strike: Strike) -> io::Result<()> {
        fails(strike)?;
        free_space_of(&self.under(to), &self.room);
        std::fs::rename(self.under(from), self.under(to))?;
        self.tree().renamed(from, to);
        Ok(())
    }

    fn unlink(&self, path: &Path, strike: Strike) -> io::Result<()> {
        fails(strike)?;
        free_space_of(&self.under(path), &self.room);
        std::fs::remove_file(self.under(path))?;
        self.tree().removed(path);
        Ok(())
    }

    fn make_dir(&self, path: &Path, strike: Strike) -> io::Result<FileAttr> {
        fails(strike)?;
        std::fs::create_dir(self.under(path))?;
        self.attr_at(path)
    }

    fn remove_dir(&self, path: &Path, strike: Strike) -> io::Result<()> {
        fails(strike)?;
        std::fs::remove_dir(self.under(path))?;
        self.tree().removed(path);
        Ok(())
    }

    fn listings(&self) -> MutexGuard<'_, Listings> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the folder behind a handle held when it was read from its start.
    fn listing(&self, handle: u64, number: u64, from_start: bool, strike: Strike) -> io::Result<Arc<Vec<Entry>>> {
        fails(strike)?;
        let known = self.listings().open.get(&handle).filter(|_| !from_start).cloned();
        match known {
            Some(entries) => Ok(entries),
            None => {
                let entries = Arc::new(self.list(number)?);
                self.listings().open.insert(handle, Arc::clone(&entries));
                Ok(entries)
            }
        }
    }

    /// Everything in a folder, with the two names that every folder has.
    fn list(&self, number: u64) -> io::Result<Vec<Entry>> {
        let path = self.tree().path(number)?;
        let mut entries: Vec<Entry> =
            vec![(".".into(), number, FileType::Directory), ("..".into(), number, FileType::Directory)];
        for entry in std::fs::read_dir(self.under(&path))? {
            let entry = entry?;
            let kind = kind_of(&entry.metadata()?);
            entries.push((entry.file_name(), self.tree().number(&path.join(entry.file_name())), kind));
        }
        Ok(entries)
    }
}

fn fails(strike: Strike) -> io::Result<()> {
    if let Some(Fault::Fails(code)) = strike.fault { Err(errno(code)) } else { Ok(()) }
}

fn kind_of(metadata: &Metadata) -> FileType {
    if metadata.is_dir() { FileType::Directory } else { FileType::RegularFile }
}

fn attr_of(number: u64, metadata: &Metadata) -> io::Result<FileAttr> {
    let modified = metadata.modified()?;
    Ok(FileAttr {
        ino: INodeNo(number),
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: modified,
        mtime: modified,
        ctime: modified,
        crtime: modified,
        kind: kind_of(metadata),
        perm: (metadata.mode() & 0o7777) as u16,
        nlink: metadata.nlink() as u32,
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

impl Served {
    /// Answers with what `act` gives once the rules let it: at once on the kernel's thread, or later on one of its own, so
    /// that what is slow or stuck holds up nothing else.
    fn run(&self, kind: OpKind, path: &Path, act: impl FnOnce(&Core, Strike) + Send + 'static) {
        let strike = self.0.rules.strike(kind, path);
        if !strike.waits() {
            return act(&self.0, strike);
        }
        let core = Arc::clone(&self.0);
        std::thread::spawn(move || {
            strike.delay.into_iter().for_each(std::thread::sleep);
            strike.until_lifted.into_iter().for_each(|id| core.rules.wait_until_lifted(id));
            act(&core, strike);
        });
    }

    fn path(&self, number: INodeNo) -> PathBuf {
        self.0.tree().path(number.0).unwrap_or_default()
    }
}

/// Answers an operation that gives nothing back.
fn done(result: io::Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}

fn entry(result: io::Result<FileAttr>, reply: ReplyEntry) {
    match result {
        Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
        Err(error) => reply.error(error.into()),
    }
}

impl fuser::Filesystem for Served {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Older kernels take less, and then writes come in more pieces.
        let _ = config.set_max_write(WRITE_MAX);
        let _ = config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS);
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(self.0.child(parent, name).and_then(|path| self.0.attr_at(&path)), reply);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.attr(ino.0) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error.into()),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let answer = move |core: &Core, result: io::Result<()>| match result.and_then(|()| core.attr(ino.0)) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error.into()),
        };
        match size {
            Some(len) => self.run(OpKind::SetLen, &self.path(ino), move |core, strike| {
                answer(core, core.set_len(ino.0, len, strike));
            }),
            // Modes, owners and times are taken note of by nobody here.
            None => answer(&self.0, Ok(())),
        }
    }

    fn mkdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        match self.0.child(parent, name) {
            Ok(path) => self.run(OpKind::MakeDir, &path.clone(), move |core, strike| {
                entry(core.make_dir(&path, strike), reply);
            }),
            Err(error) => reply.error(error.into()),
        }
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match self.0.child(parent, name) {
            Ok(path) => {
                self.run(OpKind::Unlink, &path.clone(), move |core, strike| done(core.unlink(&path, strike), reply));
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match self.0.child(parent, name) {
            Ok(path) => self.run(OpKind::RemoveDir, &path.clone(), move |core, strike| {
                done(core.remove_dir(&path, strike), reply);
            }),
            Err(error) => reply.error(error.into()),
        }
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        match (self.0.child(parent, name), self.0.child(newparent, newname)) {
            (Ok(from), Ok(to)) => self.run(OpKind::Rename, &from.clone(), move |core, strike| {
                done(core.rename(&from, &to, strike), reply);
            }),
            (Err(error), _) | (_, Err(error)) => reply.error(error.into()),
        }
    }

    fn open(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.run(OpKind::Open, &self.path(ino), move |core, strike| match core.open(ino.0, strike) {
            Ok(()) => reply.opened(FileHandle(ino.0), FopenFlags::FOPEN_DIRECT_IO),
            Err(error) => reply.error(error.into()),
        });
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let path = match self.0.child(parent, name) {
            Ok(path) => path,
            Err(error) => return reply.error(error.into()),
        };
        self.run(OpKind::Create, &path.clone(), move |core, strike| match core.create(&path, flags, strike) {
            Ok(attr) => {
                reply.created(&TTL, &attr, Generation(0), FileHandle(attr.ino.0), FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(error) => reply.error(error.into()),
        });
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.run(OpKind::Read, &self.path(ino), move |core, strike| {
            match core.read(ino.0, offset, size as usize, strike) {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        self.run(OpKind::Write, &self.path(ino), move |core, strike| match core.write(ino.0, offset, &data, strike) {
            Ok(count) => reply.written(count),
            Err(error) => reply.error(error.into()),
        });
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.0.tree().let_go(ino.0);
        reply.ok();
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.run(OpKind::Sync, &self.path(ino), move |core, strike| done(core.sync(ino.0, strike), reply));
    }

    fn opendir(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let mut listings = self.0.listings();
        listings.last += 1;
        reply.opened(FileHandle(listings.last), FopenFlags::empty());
    }

    fn releasedir(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        self.0.listings().open.remove(&fh.0);
        reply.ok();
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let act = move |core: &Core, strike| match core.listing(fh.0, ino.0, offset == 0, strike) {
            Ok(entries) => {
                for (index, (name, number, kind)) in entries.iter().enumerate().skip(offset as usize) {
                    if reply.add(INodeNo(*number), index as u64 + 1, *kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error.into()),
        };
        self.run(OpKind::List, &self.path(ino), act);
    }

    fn fsyncdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.run(OpKind::SyncDir, &self.path(ino), move |_, strike| done(fails(strike), reply));
    }

    fn statfs(&self, _req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        self.run(OpKind::FreeSpace, &self.path(ino), move |core, strike| {
            let result = fails(strike).and_then(|()| Ok(nix::sys::statvfs::statvfs(&core.backing)?));
            match result {
                Ok(stat) => {
                    let size = stat.fragment_size();
                    let free = core.room.left().map_or(stat.blocks_available(), |bytes| bytes / size);
                    reply.statfs(stat.blocks(), free, free, stat.files(), stat.files_free(), 4096, 255, size as u32);
                }
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn fallocate(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.run(OpKind::Allocate, &self.path(ino), move |core, strike| {
            let allocate = || core.file(ino.0)?.allocate(offset, length, mode, &core.room);
            done(fails(strike).and_then(|()| allocate()), reply);
        });
    }
}
