//! The tar file around partitions and manifest, in one canonical form.
//!
//! ```text
//! lake/interval=1m/ticker=AAPL/year=2024/bars.parquet      the partitions, sorted by path
//! …
//! manifest.json                                            what they contain
//! manifest.sha256                                          the manifest's hash; then 1,024 zero bytes
//! ```
//!
//! A header depends only on the member's path and length: owner, mode and time are fixed. The
//! reader takes path and length from a header, writes the expected header and compares. So nothing
//! else that a header can say (links, other owners) gets through.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;
use tar::{EntryType, Header};

use super::defect::Defect;
use super::digest::sha256;
use super::entry::Entry;
use super::manifest::{MANIFEST_BYTES_MAX, Manifest};
use crate::store::Layout;
use crate::store::lake::guard::PARTITION_BYTES_MAX;

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const MANIFEST_HASH: &str = "manifest.sha256";
const BLOCK: usize = 512;
/// Zero bytes at the end.
const TRAILER_BYTES: usize = 2 * BLOCK;
/// Every member's time: 1 January 1980. Some programs warn about earlier times.
const MTIME: u64 = 315_532_800;
/// The longest path: a ticker of 64 bytes, percent-encoded.
const PATH_BYTES_MAX: u64 = 512;
/// A longer path is written before its member, as GNU tar does.
const NAME_BYTES: usize = 100;
const LONG_NAME: &str = "././@LongLink";

fn block(path: &[u8], bytes: u64, kind: EntryType) -> Vec<u8> {
    let mut header = Header::new_gnu();
    let name = &path[..path.len().min(NAME_BYTES)];
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(bytes);
    header.set_mtime(MTIME);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// The zero bytes between a member of `bytes` bytes and the next.
fn padding(bytes: u64) -> usize {
    (BLOCK - (bytes % BLOCK as u64) as usize) % BLOCK
}

/// The header blocks of a member.
pub(super) fn header(path: &str, bytes: u64) -> Vec<u8> {
    let name = path.as_bytes();
    let mut blocks = Vec::with_capacity(BLOCK);
    if name.len() > NAME_BYTES {
        let length = name.len() as u64 + 1;
        blocks.extend(block(LONG_NAME.as_bytes(), length, EntryType::GNULongName));
        blocks.extend(name);
        blocks.resize(blocks.len() + 1 + padding(length), 0);
    }
    blocks.extend(block(name, bytes, EntryType::Regular));
    blocks
}

/// Writes one member, with its header and padding.
pub(super) fn write_member(out: &mut dyn Write, path: &str, content: &[u8]) -> io::Result<()> {
    out.write_all(&header(path, content.len() as u64))?;
    out.write_all(content)?;
    out.write_all(&[0; BLOCK][..padding(content.len() as u64)])
}

/// Writes the manifest, its hash and the end; returns the hash.
pub(super) fn write_end(out: &mut dyn Write, manifest: &[u8]) -> io::Result<String> {
    let hash = sha256(manifest);
    write_member(out, MANIFEST, manifest)?;
    write_member(out, MANIFEST_HASH, hash_line(&hash).as_bytes())?;
    out.write_all(&[0; TRAILER_BYTES])?;
    Ok(hash)
}

/// The last member's content: a line for `sha256sum --check`.
fn hash_line(hash: &str) -> String {
    format!("{hash}  {MANIFEST}\n")
}

/// A bundle open for reading. Its manifest has been checked, its partitions haven't.
pub struct Archive<R> {
    reader: R,
    manifest: Arc<Manifest>,
    manifest_bytes: u64,
    hash: String,
    /// The index of the next partition to read.
    next: usize,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the headers of all members, then reads and checks the manifest, its hash and the end.
    pub fn open(mut reader: R) -> Result<Self, Defect> {
        let length = reader.seek(SeekFrom::End(0))?;
        let manifest_at = find_manifest(&mut reader, length)?;
        reader.seek(SeekFrom::Start(manifest_at.0))?;
        let bytes = read_exactly(&mut reader, manifest_at.1, MANIFEST)?;
        let hash = sha256(&bytes);
        read_expected(&mut reader, &vec![0; padding(manifest_at.1)], || {
            Defect::Padding(MANIFEST.to_owned())
        })?;
        let line = hash_line(&hash);
        let last = header(MANIFEST_HASH, line.len() as u64);
        read_expected(&mut reader, &last, || {
            Defect::MissingMember(MANIFEST_HASH.to_owned())
        })?;
        read_expected(&mut reader, line.as_bytes(), || Defect::ManifestHash)?;
        read_expected(&mut reader, &vec![0; padding(line.len() as u64)], || {
            Defect::Padding(MANIFEST_HASH.to_owned())
        })?;
        read_expected(&mut reader, &[0; TRAILER_BYTES], || Defect::End)?;
        if reader.read(&mut [0])? != 0 {
            return Err(Defect::AfterEnd);
        }
        let manifest = Manifest::from_bytes(&bytes)?;
        reader.seek(SeekFrom::Start(0))?;
        Ok(Self {
            reader,
            manifest: Arc::new(manifest),
            manifest_bytes: manifest_at.1,
            hash,
            next: 0,
        })
    }

    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The manifest's hash, which identifies the bundle.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether this bundle was made with `--since` of `other`.
    #[must_use]
    pub fn builds_on<S>(&self, other: &Archive<S>) -> bool {
        let base = self.manifest.base.as_ref();
        base.is_some_and(|base| base.manifest_sha256 == other.hash)
    }

    /// Returns to the first partition.
    pub(super) fn rewind(&mut self) -> Result<(), Defect> {
        self.next = 0;
        self.reader.seek(SeekFrom::Start(0))?;
        Ok(())
    }

    /// The index and bytes of the next partition; the bytes are unchecked. `None` after the last,
    /// if the manifest follows.
    pub(super) fn next_partition(&mut self) -> Result<Option<(usize, Bytes)>, Defect> {
        let Some(entry) = self.manifest.partitions.get(self.next) else {
            read_expected(
                &mut self.reader,
                &header(MANIFEST, self.manifest_bytes),
                || Defect::MissingMember(MANIFEST.to_owned()),
            )?;
            return Ok(None);
        };
        let Entry { path, bytes, .. } = entry;
        read_expected(&mut self.reader, &header(path, *bytes), || {
            Defect::MissingMember(path.clone())
        })?;
        let content = read_exactly(&mut self.reader, *bytes, path)?;
        read_expected(&mut self.reader, &vec![0; padding(*bytes)], || {
            Defect::Padding(path.clone())
        })?;
        self.next += 1;
        Ok(Some((self.next - 1, Bytes::from(content))))
    }
}

/// Offset and length of the manifest. Each member before it must be a partition, in order.
fn find_manifest<R: Read + Seek>(reader: &mut R, length: u64) -> Result<(u64, u64), Defect> {
    let mut at = 0;
    let mut previous = String::new();
    reader.seek(SeekFrom::Start(0))?;
    loop {
        let (path, bytes, header_bytes) = read_header(reader, at, length)?;
        if path != MANIFEST && Layout::parse_partition(std::path::Path::new(&path)).is_none() {
            return Err(Defect::UnexpectedFile(path));
        }
        let limit = if path == MANIFEST {
            MANIFEST_BYTES_MAX
        } else {
            PARTITION_BYTES_MAX
        };
        if bytes > limit {
            return Err(Defect::TooLarge { path, bytes, limit });
        }
        let content = at + header_bytes;
        let end = content + bytes + padding(bytes) as u64;
        if end > length {
            return Err(Defect::CutOff(path));
        }
        if path == MANIFEST {
            return Ok((content, bytes));
        }
        if previous == path {
            return Err(Defect::Duplicate(path));
        }
        if previous > path {
            return Err(Defect::Order(path, previous));
        }
        reader.seek(SeekFrom::Start(end))?;
        at = end;
        previous = path;
    }
}

/// The path and length of the member at `at`, and the length of its header, which must be the
/// canonical one.
fn read_header<R: Read>(
    reader: &mut R,
    at: u64,
    length: u64,
) -> Result<(String, u64, u64), Defect> {
    let first_member = at == 0;
    let bad_header = |why: &'static str| {
        if first_member {
            Defect::NotABundle(why)
        } else {
            Defect::Header { at, why }
        }
    };
    if length - at < BLOCK as u64 {
        return Err(if first_member {
            Defect::NotABundle("it is too short")
        } else {
            Defect::NoManifest
        });
    }
    let mut found = read_exactly(reader, BLOCK as u64, "a header")?;
    let mut main = Header::from_byte_slice(&found).clone();
    let mut long = None;
    if main.entry_type() == EntryType::GNULongName {
        let bytes = main
            .size()
            .map_err(|_| bad_header("its length isn't a number"))?;
        if !(2..=PATH_BYTES_MAX).contains(&bytes) {
            return Err(bad_header("its path is too long"));
        }
        let rest = read_exactly(reader, bytes + padding(bytes) as u64, "a header")?;
        long = Some(rest[..bytes as usize - 1].to_vec());
        let next = read_exactly(reader, BLOCK as u64, "a header")?;
        main = Header::from_byte_slice(&next).clone();
        found.extend(rest);
        found.extend(next);
    }
    if found.iter().all(|byte| *byte == 0) {
        return Err(if first_member {
            Defect::NotABundle("it begins with zeros")
        } else {
            Defect::NoManifest
        });
    }
    match main.entry_type() {
        EntryType::Regular => {}
        EntryType::Link | EntryType::Symlink => return Err(bad_header("it is a link")),
        EntryType::Directory => return Err(bad_header("it is a folder")),
        _ => return Err(bad_header("it isn't a plain file")),
    }
    let name = long.unwrap_or_else(|| main.path_bytes().into_owned());
    let Ok(path) = String::from_utf8(name) else {
        return Err(bad_header("its path isn't UTF-8"));
    };
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Defect::OutsidePath(path));
    }
    let bytes = main
        .size()
        .map_err(|_| bad_header("its length isn't a number"))?;
    if header(&path, bytes) != found {
        return Err(bad_header("it differs from the canonical header"));
    }
    Ok((path, bytes, found.len() as u64))
}

/// Reads exactly `bytes` bytes. Memory grows with what arrives, not with what a header claims.
fn read_exactly<R: Read>(reader: &mut R, bytes: u64, what: &str) -> Result<Vec<u8>, Defect> {
    let mut content = Vec::with_capacity(bytes.min(1 << 20) as usize);
    reader.by_ref().take(bytes).read_to_end(&mut content)?;
    if content.len() as u64 == bytes {
        Ok(content)
    } else {
        Err(Defect::CutOff(what.to_owned()))
    }
}

/// Reads bytes that must equal `wanted`.
fn read_expected<R: Read>(
    reader: &mut R,
    wanted: &[u8],
    otherwise: impl Fn() -> Defect,
) -> Result<(), Defect> {
    let mut found = Vec::with_capacity(wanted.len());
    reader
        .by_ref()
        .take(wanted.len() as u64)
        .read_to_end(&mut found)?;
    if found == wanted {
        Ok(())
    } else if wanted.starts_with(&found) && found.len() < wanted.len() {
        Err(Defect::CutOff("the file".to_owned()))
    } else {
        Err(otherwise())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_path_lengths_can_be_read() {
        for ticker in ["A".to_owned(), "^".repeat(30), "Å".repeat(32)] {
            let path = format!(
                "lake/interval=1m/ticker={}/year=2025/bars.parquet",
                ticker.replace('Å', "%C3%85").replace('^', "%5E")
            );
            let bytes = header(&path, 12_345);
            assert_eq!(bytes.len() % BLOCK, 0);
            let read = read_header(&mut bytes.as_slice(), 0, 1 << 20).unwrap();
            assert_eq!(read, (path.clone(), 12_345, bytes.len() as u64));
            // Tar reads the same.
            let mut archive = Vec::new();
            write_member(&mut archive, &path, b"hello").unwrap();
            archive.extend([0; TRAILER_BYTES]);
            let mut archive = tar::Archive::new(archive.as_slice());
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.path_bytes(), path.as_bytes());
        }
    }
}
