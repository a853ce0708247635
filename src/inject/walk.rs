//! Which files a run takes, and in which order.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Error, plain};
use super::filename::{Packing, stem_of};
use super::settings::Input;
use super::source::{Kind, Source, copy_of, is_nameless, is_stdin, not_a_file};
use crate::report::{Event, Observer, Stop};

/// Folders within folders, at most; a loop of links ends before.
const DEPTH_MAX: usize = 64;

/// Files by which a folder is known for a store, whose files are no dumps.
const STORE_FILES: [&str; 2] = ["staging.duckdb", "store.lock"];

/// A file to be injected.
#[derive(Debug)]
pub(super) struct Dump {
    pub(super) path: PathBuf,
    /// What is read in its place.
    content: Content,
    /// The path relative to the folder, as it is shown.
    pub(super) name: String,
    /// Its length on disk.
    pub(super) bytes: u64,
}

#[derive(Debug)]
enum Content {
    File,
    /// The copy of a pipe.
    Copy(Arc<fs::File>),
    /// Nothing, for it cannot be read.
    Unreadable(io::Error),
}

impl Dump {
    fn new(path: PathBuf, name: String) -> Self {
        Self {
            bytes: fs::metadata(&path).map_or(0, |metadata| metadata.len()),
            path,
            content: Content::File,
            name,
        }
    }

    /// Its stem, and its bytes as they are now.
    pub(super) fn source(&self) -> io::Result<(String, Source)> {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, packing) = if is_nameless(&self.path) {
            ("", None)
        } else {
            // A file named on the command line may have any ending.
            let (stem, packing) = stem_of(&file).unwrap_or((&file, Packing::Plain));
            (stem, Some(packing))
        };
        let source = match &self.content {
            Content::File => Source::file(&self.path, packing)?,
            Content::Copy(copy) => Source::copy(Arc::clone(copy)),
            Content::Unreadable(error) => {
                return Err(io::Error::new(error.kind(), error.to_string()));
            }
        };
        Ok((stem.to_owned(), source))
    }
}

/// The dumps of a run, pipes among them read to their end.
#[derive(Debug, Default)]
pub struct Dumps(pub(super) Found);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In path order.
    pub(super) dumps: Vec<Dump>,
    /// Files that are no dumps, by the names shown.
    pub(super) others: Vec<String>,
    /// Pipes, sockets and devices, which a folder of dumps does not hold on purpose.
    pub(super) specials: Vec<String>,
    /// Folders that hold a store.
    pub(super) stores: Vec<String>,
    /// Folders inside that cannot be listed.
    pub(super) unreadable: Vec<(String, io::Error)>,
}

/// Lists the dumps of `input`, and reads those that are pipes to their end, until `stop` is set. To be called before
/// the store is opened: a pipe may keep the run waiting.
pub fn collect(input: &Input, observer: &dyn Observer, stop: &Stop) -> Result<Dumps, Error> {
    let mut found = find(input)?;
    for dump in &mut found.dumps {
        let kind = if is_stdin(&dump.path) {
            Kind::Pipe
        } else if let Ok(metadata) = fs::metadata(&dump.path) {
            Kind::of(&metadata)
        } else {
            continue;
        };
        dump.content = match kind {
            Kind::File | Kind::Folder => continue,
            Kind::Other => Content::Unreadable(not_a_file()),
            Kind::Pipe => {
                observer.event(&Event::Note(&format!(
                    "[{}] isn't a file: copying it to a temporary file first",
                    dump.name
                )));
                match copy_of(&dump.path, stop) {
                    Ok(copy) => {
                        dump.bytes = copy.metadata().map_or(0, |metadata| metadata.len());
                        Content::Copy(Arc::new(copy))
                    }
                    Err(error) => Content::Unreadable(io::Error::new(
                        error.kind(),
                        format!(
                            "copying it to a temporary file (in TMPDIR) failed: {}",
                            plain(&error)
                        ),
                    )),
                }
            }
        };
    }
    Ok(Dumps(found))
}

fn find(input: &Input) -> Result<Found, Error> {
    let mut found = Found::default();
    match input {
        Input::Folder(root) => {
            let listed = list_root(root)?;
            if is_store(&listed) {
                found.stores.push(root.display().to_string());
            } else {
                let mut visited = HashSet::new();
                visited.extend(fs::canonicalize(root));
                descend(root, listed, &mut visited, 0, &mut found);
            }
        }
        Input::Files(paths) => {
            for path in paths {
                let name = path.display().to_string();
                found.dumps.push(Dump::new(path.clone(), name));
            }
        }
    }
    found.dumps.sort_by(|a, b| a.path.cmp(&b.path));
    found.dumps.dedup_by(|a, b| a.path == b.path);
    for names in [&mut found.others, &mut found.specials, &mut found.stores] {
        names.sort();
    }
    Ok(found)
}

/// Checks that a folder is there and can be listed.
pub(super) fn check(input: &Input) -> Result<(), Error> {
    match input {
        Input::Folder(root) => list_root(root).map(|_| ()),
        Input::Files(_) => Ok(()),
    }
}

fn list_root(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = |source| Error::Folder {
        path: root.to_path_buf(),
        source,
    };
    if !fs::metadata(root).map_err(folder)?.is_dir() {
        return Err(Error::NotAFolder {
            path: root.to_path_buf(),
        });
    }
    list(root).map_err(folder)
}

fn is_store(entries: &[PathBuf]) -> bool {
    entries.iter().any(|path| {
        path.file_name()
            .is_some_and(|name| STORE_FILES.iter().any(|file| name == *file))
    })
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}

fn descend(
    root: &Path,
    entries: Vec<PathBuf>,
    visited: &mut HashSet<PathBuf>,
    depth: usize,
    found: &mut Found,
) {
    for path in entries {
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        // What cannot be looked at is taken for a file: the attempt to read it gives the reason.
        let kind = fs::metadata(&path).map_or(Kind::File, |metadata| Kind::of(&metadata));
        if kind == Kind::Folder {
            let new = fs::canonicalize(&path).is_ok_and(|real| visited.insert(real));
            if depth == DEPTH_MAX || !new {
                continue;
            }
            match list(&path) {
                Ok(entries) if is_store(&entries) => found.stores.push(name),
                Ok(entries) => descend(root, entries, visited, depth + 1, found),
                Err(error) => found.unreadable.push((name, error)),
            }
        } else if kind != Kind::File {
            found.specials.push(name);
        } else if path
            .file_name()
            .is_some_and(|file| stem_of(&file.to_string_lossy()).is_some())
        {
            found.dumps.push(Dump::new(path, name));
        } else {
            found.others.push(name);
        }
    }
}
