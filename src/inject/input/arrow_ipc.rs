//! Rows of an Arrow file (also Feather) or stream of any program.
//!
//! A file is read by its footer, which has the positions of its batches; a stream message by message.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, StreamDecoder};
use arrow::ipc::{self, Block, root_as_footer, root_as_message};

use super::columnar::{Batches, Invalid, Rows};
use crate::inject::file_reader::FileReader;
use crate::store::lake::untrusted::guarded;

/// The first bytes of a file, and the last.
pub(super) const FILE_MAGIC: &[u8] = b"ARROW1";
/// The length of the footer, and the magic.
const FILE_END_BYTES: u64 = 10;
/// What each message of a stream begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The maximum size of a batch, packed and unpacked. Most programs write batches of 65,536 rows.
const BATCH_BYTES_MAX: u64 = 1 << 30;
/// The maximum size of a message without its batch.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;
/// The maximum size of a footer.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// The maximum number of rows of a batch.
const BATCH_ROWS_MAX: i64 = 1 << 26;

/// Whether what begins with `head` is a stream.
pub(super) fn is_stream(head: &[u8]) -> bool {
    head.starts_with(&CONTINUATION)
}

/// Opens the rows of a file.
pub(super) fn open_file(
    file: &FileReader,
    constants: &[(String, String)],
) -> Result<Rows<FileBatches>, Invalid> {
    let cut = || "it is cut off or damaged: its end isn't that of an Arrow file".to_owned();
    let end = file.size().checked_sub(FILE_END_BYTES).ok_or_else(cut)?;
    let mut tail = [0; FILE_END_BYTES as usize];
    file.read_exact_at(&mut tail, end).map_err(|_| cut())?;
    let (length, magic) = tail.split_at(4);
    let length = u64::from(u32::from_le_bytes([
        length[0], length[1], length[2], length[3],
    ]));
    let start = end.checked_sub(length);
    let start = start.filter(|_| magic == FILE_MAGIC).ok_or_else(cut)?;
    if length > FOOTER_BYTES_MAX {
        return Err("its footer is too long".to_owned());
    }
    let mut footer = vec![0; length as usize];
    file.read_exact_at(&mut footer, start).map_err(|_| cut())?;
    let (batches, schema) = guarded(|| {
        let footer = root_as_footer(&footer).map_err(|error| error.to_string())?;
        let schema = footer.schema().ok_or("it has no schema")?;
        let schema = Arc::new(fb_to_schema(schema));
        let mut batches = FileBatches {
            file: file.clone(),
            decoder: FileDecoder::new(schema.clone(), footer.version()),
            blocks: footer
                .recordBatches()
                .into_iter()
                .flatten()
                .copied()
                .collect(),
        };
        for block in footer.dictionaries().into_iter().flatten() {
            let bytes = batches.read(block)?;
            let read = batches.decoder.read_dictionary(block, &bytes);
            read.map_err(|error| error.to_string())?;
        }
        Ok((batches, schema))
    })?;
    Ok(Rows::new(batches, &schema, constants))
}

/// The batches of a file.
pub(super) struct FileBatches {
    file: FileReader,
    decoder: FileDecoder,
    /// Where the batches are that weren't read.
    blocks: VecDeque<Block>,
}

impl FileBatches {
    /// Reads a block, and checks it before it is decoded.
    fn read(&self, block: &Block) -> Result<Buffer, Invalid> {
        let outside = || "a batch is outside the file".to_owned();
        let start = u64::try_from(block.offset()).map_err(|_| outside())?;
        let metadata = u64::try_from(block.metaDataLength()).map_err(|_| outside())?;
        let body = u64::try_from(block.bodyLength()).map_err(|_| outside())?;
        if metadata > MESSAGE_BYTES_MAX || body > BATCH_BYTES_MAX {
            return Err(too_large());
        }
        let length = metadata + body;
        if start
            .checked_add(length)
            .is_none_or(|end| end > self.file.size())
        {
            return Err(outside());
        }
        let mut bytes = vec![0; length as usize];
        self.file
            .read_exact_at(&mut bytes, start)
            .map_err(|error| cut_off(&error))?;
        let (message, body) = bytes.split_at(metadata as usize);
        let prefix = if message.starts_with(&CONTINUATION) {
            8
        } else {
            4
        };
        check(message.get(prefix..).ok_or_else(outside)?, body)?;
        Ok(Buffer::from_vec(bytes))
    }
}

impl Batches for FileBatches {
    fn next(&mut self) -> Result<Option<RecordBatch>, Invalid> {
        guarded(|| {
            while let Some(block) = self.blocks.pop_front() {
                let bytes = self.read(&block)?;
                let batch = self.decoder.read_record_batch(&block, &bytes);
                if let Some(batch) = batch.map_err(|error| error.to_string())? {
                    return Ok(Some(batch));
                }
            }
            Ok(None)
        })
    }
}

/// Opens the rows of a stream.
pub(super) fn open_stream<R: Read + Send>(
    input: R,
    constants: &[(String, String)],
) -> Result<Rows<StreamBatches<R>>, Invalid> {
    let mut batches = StreamBatches {
        input,
        decoder: StreamDecoder::new(),
        ended: false,
        ahead: None,
    };
    let schema = batches.schema()?;
    Ok(Rows::new(batches, &schema, constants))
}

/// The batches of a stream.
pub(super) struct StreamBatches<R> {
    input: R,
    decoder: StreamDecoder,
    ended: bool,
    /// A batch that was read while the schema was looked for.
    ahead: Option<RecordBatch>,
}

/// A message, and what follows it.
struct Message {
    /// The length of `metadata`, as it is before it.
    prefix: Vec<u8>,
    metadata: Vec<u8>,
    body: Vec<u8>,
}

impl<R: Read> StreamBatches<R> {
    fn schema(&mut self) -> Result<SchemaRef, Invalid> {
        loop {
            if let Some(schema) = self.decoder.schema() {
                return Ok(schema);
            }
            match self.read_batch()? {
                Some(batch) => self.ahead = Some(batch),
                None if self.ended => return Err("it has no schema".to_owned()),
                None => {}
            }
        }
    }

    /// Reads a message; `None` if it has no batch, or at the end.
    fn read_batch(&mut self) -> Result<Option<RecordBatch>, Invalid> {
        let Some(message) = self.message()? else {
            self.ended = true;
            return Ok(None);
        };
        guarded(|| {
            check(&message.metadata, &message.body)?;
            let mut batch = None;
            for part in [message.prefix, message.metadata, message.body] {
                let mut part = Buffer::from_vec(part);
                let decoded = self.decoder.decode(&mut part);
                batch = batch.or(decoded.map_err(|error| error.to_string())?);
            }
            Ok(batch)
        })
    }

    /// The next message; `None` at the end.
    fn message(&mut self) -> Result<Option<Message>, Invalid> {
        let mut prefix = self.exactly(4)?;
        if prefix.is_empty() {
            // Not every program writes the mark of the end.
            return Ok(None);
        }
        let mut length = prefix.clone();
        if prefix == CONTINUATION {
            length = self.exactly(4)?;
            prefix.extend_from_slice(&length);
        }
        let [a, b, c, d] = length[..] else {
            return Err(cut_off(&ErrorKind::UnexpectedEof.into()));
        };
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        if length == 0 {
            return Ok(None);
        }
        if length > MESSAGE_BYTES_MAX {
            return Err("a message of it is too long".to_owned());
        }
        let metadata = self.all_of(length)?;
        let body = {
            let message = root_as_message(&metadata).map_err(|error| error.to_string())?;
            let length = u64::try_from(message.bodyLength()).unwrap_or(u64::MAX);
            if length > BATCH_BYTES_MAX {
                return Err(too_large());
            }
            length
        };
        Ok(Some(Message {
            prefix,
            body: self.all_of(body)?,
            metadata,
        }))
    }

    fn all_of(&mut self, bytes: u64) -> Result<Vec<u8>, Invalid> {
        let read = self.exactly(bytes)?;
        match read.len() as u64 == bytes {
            true => Ok(read),
            false => Err(cut_off(&ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The next bytes; none at the end of the input. What is declared but isn't there needs no
    /// memory.
    fn exactly(&mut self, bytes: u64) -> Result<Vec<u8>, Invalid> {
        let mut read = Vec::new();
        let rest = self.input.by_ref().take(bytes).read_to_end(&mut read);
        rest.map_err(|error| cut_off(&error))?;
        match read.len() as u64 == bytes || read.is_empty() {
            true => Ok(read),
            false => Err(cut_off(&ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl<R: Read + Send> Batches for StreamBatches<R> {
    fn next(&mut self) -> Result<Option<RecordBatch>, Invalid> {
        if let Some(batch) = self.ahead.take() {
            return Ok(Some(batch));
        }
        while !self.ended {
            if let Some(batch) = self.read_batch()? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

/// Checks what the buffers of a message unpack to, before any is unpacked: the reader allocates
/// what they declare.
fn check(metadata: &[u8], body: &[u8]) -> Result<(), Invalid> {
    let header = root_as_message(metadata).map_err(|error| error.to_string())?;
    let batch = match header.header_type() {
        ipc::MessageHeader::RecordBatch => header.header_as_record_batch(),
        ipc::MessageHeader::DictionaryBatch => header
            .header_as_dictionary_batch()
            .and_then(|dictionary| dictionary.data()),
        _ => None,
    };
    let Some(batch) = batch else {
        return Ok(());
    };
    if !(0..=BATCH_ROWS_MAX).contains(&batch.length()) {
        return Err(too_large());
    }
    if batch.compression().is_none() {
        return Ok(());
    }
    let mut unpacked = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let start = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
        let declared = start
            .checked_add(8)
            .and_then(|end| body.get(start..end))
            .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        // -1: not compressed.
        let declared = declared.map_or(0, i64::from_le_bytes).max(0) as u64;
        unpacked = unpacked.saturating_add(declared);
    }
    match unpacked <= BATCH_BYTES_MAX {
        true => Ok(()),
        false => Err(too_large()),
    }
}

fn too_large() -> Invalid {
    format!(
        "a batch of it has more than {} MiB; write it in smaller batches",
        BATCH_BYTES_MAX >> 20
    )
}

fn cut_off(error: &io::Error) -> Invalid {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
        _ => error.to_string(),
    }
}
