//! Zip archives: what is in them, and the content of one member.
//!
//! Nothing is extracted: a member is read from its position in the archive, as a file of its own.
//! What the list of members says is checked before it is used.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use zip::CompressionMethod;
use zip::ZipArchive;
use zip::read::ZipFileEntry;
use zip::result::ZipError;

use crate::inject::file_reader::FileReader;

/// The first bytes of a zip archive.
pub(in crate::inject) const MAGIC: &[u8] = b"PK\x03\x04";
/// The most members of an archive that are read.
const MEMBERS_MAX: usize = 100_000;
/// The maximum size of the list of members, of which each has at least 47 bytes.
const LIST_BYTES_MAX: u64 = 12 << 20;
/// The longest name of a member.
const NAME_BYTES_MAX: usize = 1024;
/// The size of a local header without name and extra field, whose lengths are at these bytes.
const HEADER_BYTES: u64 = 30;
const NAME_LENGTH_AT: usize = 26;
const EXTRA_LENGTH_AT: usize = 28;

/// Why an archive or a member can't be read.
pub(in crate::inject) type Invalid = String;

/// A member's content, in its archive.
#[derive(Clone, Copy, Debug)]
pub(in crate::inject) struct Member {
    header_at: u64,
    /// Its size in the archive.
    pub(in crate::inject) packed: u64,
    size: u64,
    crc: u32,
    method: CompressionMethod,
}

/// A file in an archive: its name, and its content or why it can't be read.
pub(in crate::inject) type Entry = (String, Result<Member, Invalid>);

/// The files in an archive, in its order.
pub(in crate::inject) fn list(file: &FileReader) -> Result<Vec<Entry>, Invalid> {
    let reader = Limited {
        file: BufReader::new(file.clone()),
        left: LIST_BYTES_MAX,
    };
    let archive = ZipArchive::new(reader).map_err(plain)?;
    if archive.len() > MEMBERS_MAX {
        return Err(format!("it has more than {MEMBERS_MAX} members"));
    }
    if archive.has_duplicate_names() {
        return Err("two of its members have the same name".to_owned());
    }
    let (mut entries, mut packed) = (Vec::new(), 0_u64);
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(plain)?;
        if !entry.is_dir() {
            packed = packed.saturating_add(entry.compressed_size());
            entries.push((name_of(&entry), member_of(&entry)));
        }
    }
    // Members that share bytes are how a small archive unpacks to petabytes.
    if packed > file.size() {
        return Err("its members overlap".to_owned());
    }
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    match document(&names) {
        Some(document) => Err(document.to_owned()),
        None => Ok(entries),
    }
}

/// Fails once more was read than a list of members has.
struct Limited {
    file: BufReader<FileReader>,
    left: u64,
}

impl Read for Limited {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| invalid("its list of members is too long"))?;
        Ok(read)
    }
}

impl Seek for Limited {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// What an archive is that isn't meant as one.
fn document(names: &[&str]) -> Option<&'static str> {
    let has = |start: &str| names.iter().any(|name| name.starts_with(start));
    if has("xl/") {
        Some("it is an Excel workbook (.xlsx); save the sheet as CSV, and inject that")
    } else if has("[Content_Types].xml") || has("META-INF/manifest.xml") {
        Some("it is an office document; save its table as CSV, and inject that")
    } else if !names.is_empty() && names.iter().all(|name| name.ends_with(".npy")) {
        Some("it has NumPy arrays; write its table with to_csv or to_parquet of pandas")
    } else {
        None
    }
}

/// A member's name for messages, without control characters.
fn name_of(entry: &ZipFileEntry<'_>) -> String {
    let raw = entry.name_raw();
    let name = match entry.name() {
        Ok(name) => name.into_owned(),
        Err(_) => String::from_utf8_lossy(raw).into_owned(),
    };
    let name = name.replace('\\', "/");
    let shown = name.chars().take(NAME_BYTES_MAX);
    shown
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn member_of(entry: &ZipFileEntry<'_>) -> Result<Member, Invalid> {
    if entry.name_raw().len() > NAME_BYTES_MAX {
        return Err("its name is too long".to_owned());
    }
    // No file is written, but such a name is made to harm.
    if entry.enclosed_name().is_none() || name_of(entry).starts_with('/') {
        return Err("its path leads out of the archive".to_owned());
    }
    if entry.is_symlink() {
        return Err("it is a link".to_owned());
    }
    if entry.encrypted() {
        return Err("it is encrypted; unpack it with its password, and inject that".to_owned());
    }
    let method = entry.compression();
    if !is_known(method) {
        return Err(format!(
            "it is compressed with {method}; unpack it, and inject that"
        ));
    }
    Ok(Member {
        header_at: entry.header_start(),
        packed: entry.compressed_size(),
        size: entry.size(),
        crc: entry.crc32(),
        method,
    })
}

fn is_known(method: CompressionMethod) -> bool {
    [
        CompressionMethod::STORE,
        CompressionMethod::DEFLATE,
        CompressionMethod::BZIP2,
        CompressionMethod::ZSTD,
        CompressionMethod::XZ,
    ]
    .contains(&method)
}

/// Opens a member's content.
pub(super) fn open(file: &FileReader, member: &Member) -> io::Result<Box<dyn Read + Send>> {
    let mut header = [0; HEADER_BYTES as usize];
    file.read_exact_at(&mut header, member.header_at)?;
    if !header.starts_with(MAGIC) {
        return Err(invalid("the archive has no member where its list says"));
    }
    let length = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let start = HEADER_BYTES + length(NAME_LENGTH_AT) + length(EXTRA_LENGTH_AT);
    let packed = file.from(member.header_at + start).take(member.packed);
    let packed = BufReader::with_capacity(64 * 1024, packed);
    let content: Box<dyn Read + Send> = match member.method {
        CompressionMethod::STORE => Box::new(packed),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(packed)),
        CompressionMethod::BZIP2 => Box::new(bzip2::bufread::BzDecoder::new(packed)),
        CompressionMethod::ZSTD => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        CompressionMethod::XZ => super::unpack::xz(packed)?,
        _ => return Err(invalid("its compression isn't known")),
    };
    Ok(Box::new(Checked {
        content,
        left: member.size,
        crc: Crc::new(),
        expected: member.crc,
    }))
}

/// Checks size and checksum of a member while it is read.
struct Checked {
    content: Box<dyn Read + Send>,
    /// The bytes that are expected.
    left: u64,
    crc: Crc,
    expected: u32,
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let read = self.content.read(into)?;
        if read == 0 {
            return match (self.left, self.crc.sum() == self.expected) {
                (0, true) => Ok(0),
                (0, false) => Err(invalid("its checksum isn't that of the archive's list")),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        self.crc.update(&into[..read]);
        let left = self.left.checked_sub(read as u64);
        self.left =
            left.ok_or_else(|| invalid("it unpacks to more than the archive's list says"))?;
        Ok(read)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn plain(error: ZipError) -> Invalid {
    match error {
        ZipError::Io(error) => error.to_string(),
        ZipError::InvalidArchive(_) => "it is cut off or damaged".to_owned(),
        other => other.to_string(),
    }
}
