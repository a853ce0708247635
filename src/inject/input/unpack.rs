//! Unpacks a file, whose content shows how it is packed.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::inject::error::FileError;
use crate::inject::filename::Packing;

/// The first bytes of packed files.
const MAGICS: [(&[u8], Packing); 4] = [
    (&[0x1f, 0x8b], Packing::Gzip),
    (&[0x28, 0xb5, 0x2f, 0xfd], Packing::Zstd),
    (b"BZh", Packing::Bzip2),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], Packing::Xz),
];
/// The bytes that show how a file is packed: the digit and the first block of bzip2.
const MAGIC_BYTES: u64 = 10;
/// What follows `BZh` and a digit: the first block, or the end of an empty file.
const BZIP2_BLOCKS: [&[u8]; 2] = [b"1AY&SY", &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]];

const BUFFER_BYTES: usize = 64 * 1024;
/// The memory of xz for one file. `xz -9` needs 65 MiB.
const XZ_BYTES_MAX: u64 = 256 << 20;

/// A file's content and whether it was packed. Its packing must be the one that its name shows, if
/// `named` has one. All members of a file that was concatenated are read.
pub(super) fn unpack(
    mut file: Box<dyn Read + Send>,
    named: Option<Packing>,
) -> Result<(Box<dyn Read + Send>, bool), FileError> {
    let mut magic = Vec::with_capacity(MAGIC_BYTES as usize);
    file.by_ref().take(MAGIC_BYTES).read_to_end(&mut magic)?;
    let packing = packing_of(&magic);
    let named = named.unwrap_or(packing);
    if named != packing && !magic.is_empty() {
        return Err(FileError::Packing { named, packing });
    }
    let whole = Cursor::new(magic).chain(file);
    if packing == Packing::Plain {
        return Ok((Box::new(whole), false));
    }
    let whole = BufReader::with_capacity(BUFFER_BYTES, whole);
    let unpacked: Box<dyn Read + Send> = match packing {
        Packing::Plain => Box::new(whole),
        Packing::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        Packing::Bzip2 => Box::new(MultiBzDecoder::new(whole)),
        Packing::Xz => xz(whole)?,
    };
    Ok((unpacked, true))
}

/// Unpacks xz, in limited memory.
pub(super) fn xz(packed: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let stream = Stream::new_stream_decoder(XZ_BYTES_MAX, CONCATENATED)?;
    Ok(Box::new(XzDecoder::new_stream(packed, stream)))
}

/// How a file that begins with `magic` is packed.
fn packing_of(magic: &[u8]) -> Packing {
    let (_, packing) = MAGICS
        .into_iter()
        .find(|(first, _)| magic.starts_with(first))
        .unwrap_or((b"", Packing::Plain));
    // `BZh` may also begin a text.
    let is_text = packing == Packing::Bzip2
        && !BZIP2_BLOCKS
            .iter()
            .any(|block| magic.get(4..).is_some_and(|rest| rest.starts_with(block)));
    if is_text { Packing::Plain } else { packing }
}
