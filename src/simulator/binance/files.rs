//! Files of months and days: a zip with one CSV file, and its checksum.

use std::io::{Cursor, Write as _};

use chrono::{Datelike, Days, Weekday};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use super::bars::bars;
use super::request::{FileOf, Wanted};
use super::{klines, refusals};
use crate::simulator::fault_kind::{CAPPED_ROWS, FaultKind};
use crate::simulator::reply::{Reply, TEXT};
use crate::simulator::service::Service;

/// From 2025 on, files have microseconds.
const MICROS_FROM: i64 = 1_735_689_600_000_000;

const HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
taker_buy_quote_volume,ignore\n";

/// The file or its checksum, and its number of klines.
pub(super) fn respond(
    service: &Service<'_>,
    wanted: &Wanted,
    file: &FileOf,
    fault: Option<FaultKind>,
) -> (Reply, usize) {
    if !is_published(service, file) || fault == Some(FaultKind::MissingFile) {
        return (refusals::no_file(), 0);
    }
    let mut rows = bars(
        service,
        &wanted.symbol,
        wanted.interval,
        file.start,
        file.end - 1,
    );
    if rows.is_empty() {
        return (refusals::no_file(), 0);
    }
    if fault == Some(FaultKind::Capped) {
        // Published too early.
        rows.truncate(CAPPED_ROWS);
    }
    let mut csv = Vec::new();
    if fault == Some(FaultKind::HeaderLine) {
        csv.extend_from_slice(HEADER.as_bytes());
    }
    for row in &rows {
        klines::fields(
            &mut csv,
            row,
            wanted.interval,
            file.start >= MICROS_FROM,
            "",
        );
        csv.push(b'\n');
    }
    let zip = match zipped(&file.name, &csv) {
        Ok(zip) => zip,
        Err(error) => return (Reply::misuse(error.to_string()), 0),
    };
    if !file.is_checksum {
        return (Reply::new(200, "application/zip", zip), rows.len());
    }
    let mut hash = Sha256::digest(&zip);
    if fault == Some(FaultKind::WrongChecksum) {
        hash[0] ^= 1;
    }
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    (Reply::new(200, TEXT, format!("{hex}  {}\n", file.name)), 0)
}

/// Daily files come the day after, monthly ones on the first Monday of the next month.
fn is_published(service: &Service<'_>, file: &FileOf) -> bool {
    let now = service.now.to_utc().date_naive();
    let Some(end) = chrono::DateTime::from_timestamp_micros(file.end) else {
        return false;
    };
    let after = end.date_naive();
    let from = match file.is_month {
        false => after,
        true => {
            let days = (7 - after.weekday().days_since(Weekday::Mon)) % 7;
            after + Days::new(days.into())
        }
    };
    from <= now
}

fn zipped(name: &str, csv: &[u8]) -> Result<Vec<u8>, zip::result::ZipError> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(1));
    zip.start_file(name.replace(".zip", ".csv"), options)?;
    zip.write_all(csv)?;
    Ok(zip.finish()?.into_inner())
}
