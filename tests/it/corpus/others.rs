//! Files that aren't intraday bars. Each must be refused.

use super::Case;
use super::market::{NEW_YORK, days, stock};

pub fn cases() -> Vec<Case> {
    let daily = days("AAPL", 1);
    let quotes = stock("AAPL", 1);
    vec![
        Case::lines(
            "other/yahoo/AAPL.csv",
            "Date,Open,High,Low,Close,Adj Close,Volume",
            &daily,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y-%m-%d");
                format!("{at},{},{},{}", bar.ohlc(), bar.close, bar.volume)
            },
        )
        .impossible(),
        Case::lines(
            "other/nasdaq/HistoricalData_1.csv",
            "Date,Close/Last,Volume,Open,High,Low",
            &daily,
            |bar| {
                let at = bar.time(NEW_YORK, "%m/%d/%Y");
                format!(
                    "{at},${},{},${},${},${}",
                    bar.close, bar.volume, bar.open, bar.high, bar.low
                )
            },
        )
        .impossible(),
        Case::lines(
            "other/investing/AAPL Historical Data.csv",
            "\"Date\",\"Price\",\"Open\",\"High\",\"Low\",\"Vol.\",\"Change %\"",
            &daily,
            |bar| {
                let at = bar.time(NEW_YORK, "%m/%d/%Y");
                format!(
                    "\"{at}\",\"{}\",\"{}\",\"{}\",\"{}\",\"{:.2}K\",\"0.35%\"",
                    bar.close,
                    bar.open,
                    bar.high,
                    bar.low,
                    bar.volume / 1_000.0
                )
            },
        )
        .impossible(),
        Case::lines(
            "other/trades/AAPL.csv",
            "timestamp,price,size,exchange",
            &quotes,
            |bar| format!("{},{},{},Q", bar.at * 1000, bar.open, bar.volume),
        )
        .impossible(),
        Case::lines(
            "other/quotes/AAPL.csv",
            "timestamp,bid,bid_size,ask,ask_size",
            &quotes,
            |bar| format!("{},{},1,{},2", bar.at * 1000, bar.low, bar.high),
        )
        .impossible(),
        Case::lines("other/closes/AAPL.csv", "date,close", &daily, |bar| {
            format!("{},{}", bar.time(NEW_YORK, "%Y-%m-%d"), bar.close)
        })
        .impossible(),
        Case::new(
            "other/text/notes.txt",
            [],
            "These are my notes.\nThey have no bars.\n",
        ),
        Case::new(
            "other/header_only/AAPL.csv",
            [],
            "timestamp,open,high,low,close,volume\n",
        ),
        Case::new("other/empty/AAPL.csv", [], ""),
        Case::new("other/zeros/AAPL.csv", [], vec![0; 4_096]),
        Case::new(
            "other/html/AAPL.csv",
            [],
            "<!DOCTYPE html>\n<html><body>Not Found</body></html>\n",
        ),
        Case::new(
            "other/json_error/AAPL.csv",
            [],
            "{\"Error Message\": \"Invalid API call\"}\n",
        ),
        Case::new(
            "other/xlsx/AAPL.csv",
            [],
            *b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00[Content_Types].xml",
        ),
        Case::new(
            "other/seven_zip/AAPL.csv",
            [],
            *b"7z\xbc\xaf\x27\x1c\x00\x04data that is not text \x00\x01\x02",
        ),
        Case::new(
            "other/sqlite/AAPL.csv",
            [],
            *b"SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20\x00\x00",
        ),
        Case::new(
            "other/hdf5/AAPL.csv",
            [],
            *b"\x89HDF\r\n\x1a\n\x00\x00\x00\x00\x00\x08\x08\x00",
        ),
        Case::new(
            "other/pickle/AAPL.csv",
            [],
            *b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x11pandas",
        ),
    ]
}
