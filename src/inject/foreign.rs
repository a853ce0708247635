//! Recognises kinds of files that can't be read, so that an error can name the kind.

/// A file of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// `an Excel workbook`.
    pub name: &'static str,
    /// How its bars can be injected.
    pub help: &'static str,
}

const fn of(name: &'static str, help: &'static str) -> Foreign {
    Foreign { name, help }
}

const UNPACK: &str = "unpack it, and inject the files in it";
const EXPORT: &str = "export its table as CSV or Parquet, and inject that";
const PANDAS: &str = "write its table with to_csv or to_parquet of pandas, and inject that";

const WORKBOOK: Foreign = of(
    "an Excel workbook",
    "save the sheet as CSV, and inject that",
);

/// The first bytes of each kind of file.
const MAGICS: [(&[u8], Foreign); 29] = [
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        of(
            "an Excel workbook (.xls)",
            "save the sheet as CSV, and inject that",
        ),
    ),
    (b"PK\x03\x04", of("a zip archive", "name it .zip")),
    (b"PK\x05\x06", of("an empty zip archive", "name it .zip")),
    (b"7z\xbc\xaf\x27\x1c", of("a 7z archive", UNPACK)),
    (b"Rar!\x1a\x07", of("a RAR archive", UNPACK)),
    (b"\x04\x22\x4d\x18", of("compressed with LZ4", UNPACK)),
    (b"\x1f\x9d", of("compressed with compress (.Z)", UNPACK)),
    (b"\x1f\x8b", of("compressed twice", UNPACK)),
    (b"\x28\xb5\x2f\xfd", of("compressed twice", UNPACK)),
    (b"\xfd7zXZ\x00", of("compressed twice", UNPACK)),
    (
        b"\x5d\x00\x00",
        of("compressed with LZMA (.lzma, .bi5)", UNPACK),
    ),
    (b"\x89HDF\r\n\x1a\n", of("an HDF5 file", PANDAS)),
    (
        b"FEA1",
        of(
            "a Feather file of version 1",
            "write it again with to_feather of pandas 1 or later",
        ),
    ),
    (b"\x80\x02", of("a Python pickle", PANDAS)),
    (b"\x80\x03", of("a Python pickle", PANDAS)),
    (b"\x80\x04", of("a Python pickle", PANDAS)),
    (b"\x80\x05", of("a Python pickle", PANDAS)),
    (b"\x93NUMPY", of("a NumPy array", PANDAS)),
    (
        b"%PDF-",
        of("a PDF document", "get its table as CSV from where it came"),
    ),
    (b"SQLite format 3\x00", of("a SQLite database", EXPORT)),
    (b"ORC", of("an ORC file", EXPORT)),
    (b"Obj\x01", of("an Avro file", EXPORT)),
    (
        b"DBN\x01",
        of("a Databento file (.dbn)", "convert it with `dbn --csv`"),
    ),
    (
        b"DBN\x02",
        of("a Databento file (.dbn)", "convert it with `dbn --csv`"),
    ),
    (
        b"DBN\x03",
        of("a Databento file (.dbn)", "convert it with `dbn --csv`"),
    ),
    (
        b"\x91\x01\x00\x00",
        of(
            "a MetaTrader history (.hst)",
            "export it as CSV in MetaTrader's History Center",
        ),
    ),
    (
        b"X\n\x00\x00\x00",
        of("an R object (.rds)", "write its table with write.csv of R"),
    ),
    (
        b"RDX",
        of(
            "an R workspace (.RData)",
            "write its table with write.csv of R",
        ),
    ),
    (
        b"\x89PNG",
        of("a picture", "get its table as CSV from where it came"),
    ),
];

/// The first characters of each kind of text, after blanks and without case.
const MARKUPS: [(&[u8], Foreign); 3] = [
    (b"<!doctype html", HTML),
    (b"<html", HTML),
    (b"<?xml", of("an XML document", EXPORT)),
];

const HTML: Foreign = of(
    "a web page",
    "download the file again: this is often a page about an error or a login",
);

/// What a file that begins with `head` is, if it is of a known kind that can't be read.
pub(super) fn named(head: &[u8]) -> Option<Foreign> {
    let magic = MAGICS.iter().find(|(magic, foreign)| {
        // `ORC` may begin a text.
        let is_text = foreign.name == "an ORC file" && head.iter().all(|byte| *byte != 0);
        head.starts_with(magic) && !is_text
    });
    if let Some((_, foreign)) = magic {
        let has = |name: &[u8]| head.windows(name.len()).any(|part| part == name);
        let is_office = [&b"[Content_Types].xml"[..], b"docProps/"]
            .into_iter()
            .any(has);
        return Some(match is_office {
            true => WORKBOOK,
            false => *foreign,
        });
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(of("a tar archive", UNPACK));
    }
    if head.get(8..12) == Some(b"DUCK") {
        return Some(of("a DuckDB database", EXPORT));
    }
    let text = head.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let starts = |start: &[u8]| {
        text.get(..start.len())
            .is_some_and(|first| first.eq_ignore_ascii_case(start))
    };
    let markup = MARKUPS.iter().find(|(start, _)| starts(start));
    markup.map(|(_, foreign)| *foreign)
}
