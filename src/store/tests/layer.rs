//! A file layer under [`durable`](crate::store::durable): what is on the disk if the power goes now.
//!
//! It keeps two views of a store's folder: the one that the process sees, and the one that was flushed.
//! In the second, a file has the content of its last flush, and a folder the entries of its last flush.
//! DuckDB's own files are taken as they are at the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::store::durable::Step;

/// What a folder's entry refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Node {
    Dir,
    /// A file of ours, by a number that outlives its names.
    File(u64),
    /// A file of DuckDB's.
    Live,
}

type Entries = BTreeMap<PathBuf, Node>;

/// The two views; paths are relative to the store's folder.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Views {
    seen: Entries,
    flushed: Entries,
    /// Contents at the last flush.
    contents: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

/// One way in which the disk may look if the power goes.
pub(in crate::store) struct Disk {
    pub what: String,
    files: BTreeMap<PathBuf, Vec<u8>>,
    dirs: BTreeSet<PathBuf>,
}

/// The folder as a killed process leaves it, and what of it is flushed.
pub(in crate::store) struct Killed {
    pub what: String,
    pub disk: Disk,
    pub views: Views,
}

/// What is recorded of one store.
#[derive(Default)]
pub(in crate::store) struct Record {
    pub views: Views,
    pub disks: Vec<Disk>,
    pub kills: Vec<Killed>,
    /// Steps taken.
    pub steps: u64,
    /// From this step on, everything is refused as on a full disk.
    pub full_from: Option<u64>,
    /// Take a picture at every so manieth step; none where this is 0.
    pub every: u64,
}

static RECORDS: Mutex<BTreeMap<PathBuf, Record>> = Mutex::new(BTreeMap::new());

fn records() -> std::sync::MutexGuard<'static, BTreeMap<PathBuf, Record>> {
    RECORDS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Begins to record what happens below `root`.
pub(in crate::store) fn start(root: &Path, record: Record) {
    records().insert(root.to_path_buf(), record);
}

/// Ends it.
pub(in crate::store) fn stop(root: &Path) -> Record {
    records().remove(root).unwrap()
}

/// The disks as they may be now, nothing being under way.
pub(in crate::store) fn now(root: &Path) -> Vec<Disk> {
    records()[root].views.disks(root, "at rest")
}

fn path_of<'a>(step: &Step<'a>) -> &'a Path {
    match step {
        Step::Create(path)
        | Step::Write(path)
        | Step::FlushFile(path)
        | Step::FlushDir(path)
        | Step::FlushAll(path)
        | Step::Rename(_, path)
        | Step::Remove(path)
        | Step::MakeDir(path)
        | Step::RemoveDir(path) => path,
    }
}

fn name_of(step: &Step<'_>, root: &Path) -> String {
    let path = path_of(step).strip_prefix(root).unwrap_or(Path::new("?"));
    let word = match step {
        Step::Create(_) => "making",
        Step::Write(_) => "writing",
        Step::FlushFile(_) | Step::FlushDir(_) | Step::FlushAll(_) => "flushing",
        Step::Rename(..) => "renaming to",
        Step::Remove(_) | Step::RemoveDir(_) => "removing",
        Step::MakeDir(_) => "making the folder",
    };
    format!("before {word} {:?}", path.display().to_string())
}

pub(in crate::store) fn before(step: &Step<'_>) -> io::Result<()> {
    let mut records = records();
    let path = path_of(step);
    let Some((root, record)) = records.iter_mut().find(|(root, _)| path.starts_with(root)) else {
        return Ok(());
    };
    record.steps += 1;
    let takes_room = matches!(step, Step::Create(_) | Step::Write(_) | Step::MakeDir(_));
    if takes_room && record.full_from.is_some_and(|from| record.steps >= from) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let wanted = record.every > 0 && record.steps.is_multiple_of(record.every);
    if wanted && !matches!(step, Step::Write(_)) {
        let what = name_of(step, root);
        record.disks.extend(record.views.disks(root, &what));
        record.kills.push(Killed {
            disk: as_it_is(root, &what),
            views: record.views.clone(),
            what,
        });
    }
    Ok(())
}

pub(in crate::store) fn after(step: &Step<'_>) {
    let mut records = records();
    let path = path_of(step);
    if let Some((root, record)) = records.iter_mut().find(|(root, _)| path.starts_with(root)) {
        let (root, views) = (root.clone(), &mut record.views);
        views.take(&root, step);
    }
}

/// The folder as the process sees it, every file.
fn as_it_is(root: &Path, what: &str) -> Disk {
    let mut disk = Disk {
        what: what.to_owned(),
        files: BTreeMap::new(),
        dirs: BTreeSet::new(),
    };
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let relative = path.strip_prefix(root).unwrap().to_path_buf();
            if path.is_dir() {
                disk.dirs.insert(relative);
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                disk.files.insert(relative, bytes);
            }
        }
    }
    disk
}

impl Views {
    /// Both views as the folder is now: all of it was flushed long ago.
    pub fn of(root: &Path) -> Self {
        let mut views = Self::default();
        let disk = as_it_is(root, "");
        for dir in disk.dirs {
            views.seen.insert(dir, Node::Dir);
        }
        for (path, bytes) in disk.files {
            let node = if is_duckdb(&path) {
                Node::Live
            } else {
                views.next += 1;
                views.contents.insert(views.next, bytes);
                Node::File(views.next)
            };
            views.seen.insert(path, node);
        }
        views.flushed = views.seen.clone();
        views
    }

    fn take(&mut self, root: &Path, step: &Step<'_>) {
        let relative = |path: &Path| path.strip_prefix(root).unwrap().to_path_buf();
        match step {
            Step::Create(path) => {
                self.next += 1;
                self.seen.insert(relative(path), Node::File(self.next));
            }
            Step::Write(_) => {}
            Step::FlushFile(path) => {
                if let Some(Node::File(number)) = self.seen.get(&relative(path)) {
                    self.contents.insert(*number, fs::read(path).unwrap());
                }
            }
            Step::FlushDir(path) => self.flush_dir(&relative(path)),
            Step::FlushAll(_) => {
                for (path, node) in &self.seen {
                    if let Node::File(number) = node {
                        self.contents
                            .insert(*number, fs::read(root.join(path)).unwrap());
                    }
                }
                self.flushed = self.seen.clone();
            }
            Step::Rename(from, to) => {
                let (from, to) = (relative(from), relative(to));
                // A database is made by DuckDB and renamed by us.
                let node = self.seen.remove(&from).unwrap_or(Node::Live);
                self.seen.insert(to, node);
            }
            Step::Remove(path) => drop(self.seen.remove(&relative(path))),
            Step::MakeDir(path) => drop(self.seen.insert(relative(path), Node::Dir)),
            Step::RemoveDir(path) => {
                if !path.exists() {
                    self.seen.remove(&relative(path));
                }
            }
        }
    }

    fn flush_dir(&mut self, dir: &Path) {
        self.flushed.retain(|path, _| path.parent() != Some(dir));
        for (path, node) in &self.seen {
            if path.parent() == Some(dir) {
                self.flushed.insert(path.clone(), node.clone());
            }
        }
    }

    /// Folders whose entries differ from what was flushed.
    fn dirty(&self) -> Vec<PathBuf> {
        let of = |entries: &Entries, other: &Entries| -> BTreeSet<PathBuf> {
            let differing = entries
                .iter()
                .filter(|(path, node)| other.get(*path) != Some(node));
            differing
                .filter_map(|(path, _)| path.parent().map(Path::to_path_buf))
                .collect()
        };
        let mut dirs = of(&self.seen, &self.flushed);
        dirs.extend(of(&self.flushed, &self.seen));
        dirs.into_iter().collect()
    }

    /// The disk as it may be when the power goes: nothing of what was not flushed, all of it, and each folder's
    /// changes with and without the others' while they are few.
    fn disks(&self, root: &Path, what: &str) -> Vec<Disk> {
        let dirty = self.dirty();
        let all = || dirty.iter().collect::<Vec<_>>();
        let choices: Vec<Vec<&PathBuf>> = match dirty.len() {
            few @ 0..=3 => (0..1_u32 << few)
                .map(|choice| {
                    let chosen = |place: usize| choice & 1 << place != 0;
                    let places = (0..few).filter(|place| chosen(*place));
                    places.map(|place| &dirty[place]).collect()
                })
                .collect(),
            some @ 4..=8 => {
                let one = dirty.iter().map(|dir| vec![dir]);
                let all_but_one = (0..some).map(|without| {
                    let mut dirs = all();
                    dirs.remove(without);
                    dirs
                });
                [Vec::new(), all()]
                    .into_iter()
                    .chain(one)
                    .chain(all_but_one)
                    .collect()
            }
            _ => vec![Vec::new(), all()],
        };
        choices
            .into_iter()
            .map(|arrived| self.disk(root, &arrived, format!("{what}, arrived: {arrived:?}")))
            .collect()
    }

    fn disk(&self, root: &Path, arrived: &[&PathBuf], what: String) -> Disk {
        let mut entries: Entries = self.flushed.clone();
        for dir in arrived {
            entries.retain(|path, _| path.parent() != Some(dir.as_path()));
            for (path, node) in &self.seen {
                if path.parent() == Some(dir.as_path()) {
                    entries.insert(path.clone(), node.clone());
                }
            }
        }
        self.settle_renames(&mut entries);
        let mut disk = Disk {
            what,
            files: BTreeMap::new(),
            dirs: BTreeSet::new(),
        };
        // In the order of names, a folder is before its entries. An entry without its folder is gone.
        for (path, node) in &entries {
            let parent = path.parent().unwrap_or(Path::new(""));
            if !parent.as_os_str().is_empty() && !disk.dirs.contains(parent) {
                continue;
            }
            match node {
                Node::Dir => drop(disk.dirs.insert(path.clone())),
                // Never flushed: the name is there, the bytes are not.
                Node::File(number) => {
                    let bytes = self.contents.get(number).cloned().unwrap_or_default();
                    disk.files.insert(path.clone(), bytes);
                }
                Node::Live => {
                    if let Ok(bytes) = fs::read(root.join(path)) {
                        disk.files.insert(path.clone(), bytes);
                    }
                }
            }
        }
        // DuckDB's log goes with its database.
        if disk.files.contains_key(Path::new("staging.duckdb"))
            && let Ok(bytes) = fs::read(root.join("staging.duckdb.wal"))
        {
            disk.files.insert("staging.duckdb.wal".into(), bytes);
        }
        disk
    }
}

impl Views {
    /// A rename from folder to folder is one entry of a file system's journal: it arrived or it did not, and no file is
    /// in both places or in none.
    fn settle_renames(&self, entries: &mut Entries) {
        let place = |of: &Entries, number: u64| {
            let mut found = of.iter().filter(|(_, node)| **node == Node::File(number));
            found.next().map(|(path, _)| path.clone())
        };
        for (path, node) in &self.flushed {
            let Node::File(number) = node else { continue };
            let Some(now) = place(&self.seen, *number) else {
                continue;
            };
            if now == *path {
                continue;
            }
            let mut above = now.ancestors().skip(1);
            let hangs =
                above.all(|dir| dir.as_os_str().is_empty() || entries.get(dir) == Some(&Node::Dir));
            if hangs && entries.get(&now) == Some(node) {
                if entries.get(path) == Some(node) {
                    entries.remove(path);
                }
            } else {
                entries.remove(&now);
                entries.insert(path.clone(), node.clone());
            }
        }
    }
}

fn is_duckdb(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".duckdb") || name.ends_with(".wal")
}

impl Disk {
    /// Lays the disk out in `dir`.
    pub fn lay_out(&self, dir: &Path) {
        for folder in &self.dirs {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        for (path, bytes) in &self.files {
            fs::write(dir.join(path), bytes).unwrap();
        }
    }

    /// Something that is the same for disks that look the same.
    pub fn picture(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&self.files, &self.dirs).hash(&mut hasher);
        hasher.finish()
    }
}
