//! The tar file around partitions and manifest, in one form only.
//!
//! ```text
//! lake/interval=1m/ticker=AAPL/year=2024/bars.parquet      the partitions, by path
//! …
//! manifest.json                                            what they must be
//! manifest.sha256                                          the manifest's hash; then 1,024 zeros, and nothing more
//! ```
//!
//! A header follows from a member's path and length alone: owner, mode and time are always the same. So a header is not
//! interpreted but written anew and compared, and whatever else it could say (a link, a path that leads out) cannot occur.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;
use tar::{EntryType, Header};

use super::digest::sha256;
use super::entry::Entry;
use super::fault::Fault;
use super::manifest::{MANIFEST_BYTES_MAX, Manifest};
use crate::store::Layout;
use crate::store::lake::guard::PARTITION_BYTES_MAX;

/// The manifest's member.
pub(super) const MANIFEST: &str = "manifest.json";
/// The last member.
pub(super) const MANIFEST_HASH: &str = "manifest.sha256";
const BLOCK: usize = 512;
/// Zeros at the end.
const TRAILER_BYTES: usize = 2 * BLOCK;
/// Every member's time: 1 January 1980. Earlier ones make some programs warn.
const MTIME: u64 = 315_532_800;
/// The longest path: a ticker of 64 bytes, percent-encoded.
const PATH_BYTES_MAX: u64 = 512;
/// A path of more bytes is written before its member, as GNU tar does.
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

/// Zeros between a member of so many bytes and the next.
fn padding(bytes: u64) -> usize {
    (BLOCK - (bytes % BLOCK as u64) as usize) % BLOCK
}

/// What stands before a member's bytes.
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

/// Writes one member.
pub(super) fn write_member(out: &mut dyn Write, path: &str, content: &[u8]) -> io::Result<()> {
    out.write_all(&header(path, content.len() as u64))?;
    out.write_all(content)?;
    out.write_all(&[0; BLOCK][..padding(content.len() as u64)])
}

/// Writes manifest, hash and end; returns the hash.
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

/// A bundle open for reading: its manifest is read and checked, its partitions are not.
pub struct Archive<R> {
    reader: R,
    manifest: Arc<Manifest>,
    manifest_bytes: u64,
    hash: String,
    /// The next partition to be read.
    next: usize,
}

impl<R: Read + Seek> Archive<R> {
    /// Walks over all members, then reads and checks the manifest, its hash, and the end.
    pub fn open(mut reader: R) -> Result<Self, Fault> {
        let length = reader.seek(SeekFrom::End(0))?;
        let manifest_at = find_manifest(&mut reader, length)?;
        reader.seek(SeekFrom::Start(manifest_at.0))?;
        let bytes = take(&mut reader, manifest_at.1, MANIFEST)?;
        let hash = sha256(&bytes);
        expect(&mut reader, &vec![0; padding(manifest_at.1)], || {
            Fault::Padding(MANIFEST.to_owned())
        })?;
        let line = hash_line(&hash);
        let last = header(MANIFEST_HASH, line.len() as u64);
        expect(&mut reader, &last, || {
            Fault::NotMember(MANIFEST_HASH.to_owned())
        })?;
        expect(&mut reader, line.as_bytes(), || Fault::ManifestHash)?;
        expect(&mut reader, &vec![0; padding(line.len() as u64)], || {
            Fault::Padding(MANIFEST_HASH.to_owned())
        })?;
        expect(&mut reader, &[0; TRAILER_BYTES], || Fault::End)?;
        if reader.read(&mut [0])? != 0 {
            return Err(Fault::After);
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

    /// What the bundle says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The manifest's hash.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Begins again with the first partition.
    pub(super) fn rewind(&mut self) -> Result<(), Fault> {
        self.next = 0;
        self.reader.seek(SeekFrom::Start(0))?;
        Ok(())
    }

    /// The next partition and its bytes, which are not looked at yet; `None` after the last, where the manifest must follow.
    pub(super) fn next_partition(&mut self) -> Result<Option<(usize, Bytes)>, Fault> {
        let Some(entry) = self.manifest.partitions.get(self.next) else {
            expect(
                &mut self.reader,
                &header(MANIFEST, self.manifest_bytes),
                || Fault::NotMember(MANIFEST.to_owned()),
            )?;
            return Ok(None);
        };
        let Entry { path, bytes, .. } = entry;
        expect(&mut self.reader, &header(path, *bytes), || {
            Fault::NotMember(path.clone())
        })?;
        let content = take(&mut self.reader, *bytes, path)?;
        expect(&mut self.reader, &vec![0; padding(*bytes)], || {
            Fault::Padding(path.clone())
        })?;
        self.next += 1;
        Ok(Some((self.next - 1, Bytes::from(content))))
    }
}

/// Where the manifest's bytes begin, and how many there are. Every member before it must be a partition's, in order.
fn find_manifest<R: Read + Seek>(reader: &mut R, length: u64) -> Result<(u64, u64), Fault> {
    let mut at = 0;
    let mut before = String::new();
    reader.seek(SeekFrom::Start(0))?;
    loop {
        let (path, bytes, header_bytes) = read_header(reader, at, length)?;
        // Named only once it is known to be a name that can be shown.
        if path != MANIFEST && Layout::parse_partition(std::path::Path::new(&path)).is_none() {
            return Err(Fault::Stranger(path));
        }
        let limit = if path == MANIFEST {
            MANIFEST_BYTES_MAX
        } else {
            PARTITION_BYTES_MAX
        };
        if bytes > limit {
            return Err(Fault::TooLarge { path, bytes, limit });
        }
        let content = at + header_bytes;
        let end = content + bytes + padding(bytes) as u64;
        if end > length {
            return Err(Fault::Cut(path));
        }
        if path == MANIFEST {
            return Ok((content, bytes));
        }
        if before == path {
            return Err(Fault::Twice(path));
        }
        if before > path {
            return Err(Fault::Order(path, before));
        }
        reader.seek(SeekFrom::Start(end))?;
        at = end;
        before = path;
    }
}

/// Path and length of the member at `at`, and the length of its header, which must be exactly as it is written.
fn read_header<R: Read>(reader: &mut R, at: u64, length: u64) -> Result<(String, u64, u64), Fault> {
    let first_member = at == 0;
    let foreign = |why: &'static str| {
        if first_member {
            Fault::NotABundle(why)
        } else {
            Fault::Header { at, why }
        }
    };
    if length - at < BLOCK as u64 {
        return Err(if first_member {
            Fault::NotABundle("it is too short")
        } else {
            Fault::NoManifest
        });
    }
    let mut found = take(reader, BLOCK as u64, "a header")?;
    let mut main = Header::from_byte_slice(&found).clone();
    let mut long = None;
    if main.entry_type() == EntryType::GNULongName {
        let bytes = main
            .size()
            .map_err(|_| foreign("its length is no number"))?;
        if !(2..=PATH_BYTES_MAX).contains(&bytes) {
            return Err(foreign("its path is too long"));
        }
        let rest = take(reader, bytes + padding(bytes) as u64, "a header")?;
        long = Some(rest[..bytes as usize - 1].to_vec());
        let next = take(reader, BLOCK as u64, "a header")?;
        main = Header::from_byte_slice(&next).clone();
        found.extend(rest);
        found.extend(next);
    }
    if found.iter().all(|byte| *byte == 0) {
        return Err(if first_member {
            Fault::NotABundle("it begins with zeros")
        } else {
            Fault::NoManifest
        });
    }
    match main.entry_type() {
        EntryType::Regular => {}
        EntryType::Link | EntryType::Symlink => return Err(foreign("it is a link")),
        EntryType::Directory => return Err(foreign("it is a folder")),
        _ => return Err(foreign("it is no plain file")),
    }
    let name = long.unwrap_or_else(|| main.path_bytes().into_owned());
    let Ok(path) = String::from_utf8(name) else {
        return Err(foreign("its path is no text"));
    };
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Fault::Outside(path));
    }
    let bytes = main
        .size()
        .map_err(|_| foreign("its length is no number"))?;
    if header(&path, bytes) != found {
        return Err(foreign("it is not as a bundle writes it"));
    }
    Ok((path, bytes, found.len() as u64))
}

/// Reads exactly so many bytes. Room is made as they come, not as they are promised.
fn take<R: Read>(reader: &mut R, bytes: u64, what: &str) -> Result<Vec<u8>, Fault> {
    let mut content = Vec::with_capacity(bytes.min(1 << 20) as usize);
    reader.by_ref().take(bytes).read_to_end(&mut content)?;
    if content.len() as u64 == bytes {
        Ok(content)
    } else {
        Err(Fault::Cut(what.to_owned()))
    }
}

/// Reads what must stand there.
fn expect<R: Read>(
    reader: &mut R,
    wanted: &[u8],
    otherwise: impl Fn() -> Fault,
) -> Result<(), Fault> {
    let mut found = Vec::with_capacity(wanted.len());
    reader
        .by_ref()
        .take(wanted.len() as u64)
        .read_to_end(&mut found)?;
    if found == wanted {
        Ok(())
    } else if wanted.starts_with(&found) && found.len() < wanted.len() {
        Err(Fault::Cut("it".to_owned()))
    } else {
        Err(otherwise())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_whatever_the_length_of_its_path() {
        for ticker in ["A".to_owned(), "^".repeat(30), "Å".repeat(32)] {
            let path = format!(
                "lake/interval=1m/ticker={}/year=2025/bars.parquet",
                ticker.replace('Å', "%C3%85").replace('^', "%5E")
            );
            let bytes = header(&path, 12_345);
            assert_eq!(bytes.len() % BLOCK, 0);
            let read = read_header(&mut bytes.as_slice(), 0, 1 << 20).unwrap();
            assert_eq!(read, (path.clone(), 12_345, bytes.len() as u64));
            // And so it does to tar.
            let mut archive = Vec::new();
            write_member(&mut archive, &path, b"hello").unwrap();
            archive.extend([0; TRAILER_BYTES]);
            let mut archive = tar::Archive::new(archive.as_slice());
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.path_bytes(), path.as_bytes());
        }
    }
}
