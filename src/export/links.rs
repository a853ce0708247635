//! Paths with their links followed, and the identity of files.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

/// The most links in one path, as on Linux.
const LINKS_MAX: u32 = 40;

/// A path with its links followed.
pub(super) struct Followed {
    pub real: PathBuf,
    /// Whether it names a descriptor that is open, as `/dev/stdout` and `/dev/fd/3` do.
    pub is_descriptor: bool,
    /// Whether that descriptor is this process's standard output.
    pub is_stdout: bool,
}

/// Follows all links, including a last one and those with a missing target. Parts that don't exist
/// stay as typed.
pub(super) fn follow(path: &Path) -> io::Result<Followed> {
    let path = std::path::absolute(path)?;
    let mut left: VecDeque<OsString> = VecDeque::new();
    let push_front = |left: &mut VecDeque<OsString>, path: &Path| {
        for part in path.components().rev() {
            left.push_front(part.as_os_str().to_owned());
        }
    };
    push_front(&mut left, &path);
    let mut real = PathBuf::new();
    let (mut links, mut is_descriptor, mut is_stdout) = (0, false, false);
    let own_stdout = format!("/proc/{}/fd/1", std::process::id());
    while let Some(part) = left.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                real.pop();
                continue;
            }
            Some(Component::Normal(_)) => {}
            Some(Component::CurDir) | None => continue,
            // The root, or a drive: an absolute path starts again.
            Some(Component::RootDir | Component::Prefix(_)) => {
                real.push(&part);
                continue;
            }
        }
        let next = real.join(&part);
        is_descriptor |= next.starts_with("/proc") || next.starts_with("/dev/fd");
        is_stdout |= next == Path::new(&own_stdout) || next == Path::new("/dev/fd/1");
        match fs::read_link(&next) {
            Ok(target) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::other("its links form a loop"));
                }
                push_front(&mut left, &target);
            }
            Err(_) => real = next,
        }
    }
    Ok(Followed {
        real,
        is_descriptor,
        is_stdout,
    })
}

/// The identity of a file or folder, independent of its name: device and inode.
pub(super) type Id = (u64, u64);

/// The store's folder and its entries, links followed.
pub(super) fn ids_of(store: &Path) -> HashSet<Id> {
    let entries = fs::read_dir(store).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| id_of(&entry.path()));
    ids.chain(id_of(store)).collect()
}

pub(super) fn id_of(path: &Path) -> Option<Id> {
    id(&fs::metadata(path).ok()?)
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // elsewhere there is none
pub(super) fn id(metadata: &Metadata) -> Option<Id> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(unix)]
pub(super) fn links(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
pub(super) fn id(_: &Metadata) -> Option<Id> {
    None
}

#[cfg(not(unix))]
pub(super) fn links(_: &Metadata) -> u64 {
    1
}
