//! The forms of times, numbers and lines, in files of no vendor in particular.

use super::Case;
use super::market::{Bar, NEW_YORK, Series, UTC, days, sessions, stock, stock_early};
use super::stocks::thousands;

const HEADER: &str = "timestamp,open,high,low,close,volume";

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(forms_of_time());
    all.extend(zones());
    all.extend(dates());
    all.extend(numbers());
    all.extend(lines());
    all.extend(intervals());
    all
}

/// A file with `time` in its first column.
fn file(path: &str, header: &str, series: &Series, time: impl Fn(&Bar) -> String) -> Case {
    Case::lines(path, header, series, |bar| {
        format!("{},{}", time(bar), bar.ohlcv())
    })
}

fn local(path: &str, pattern: &'static str) -> Case {
    file(path, HEADER, &stock("AAPL", 1), move |bar| {
        bar.time(NEW_YORK, pattern)
    })
}

fn forms_of_time() -> Vec<Case> {
    let aapl = stock("AAPL", 1);
    let epoch =
        |path: &str, scale: i64| file(path, HEADER, &aapl, move |bar| (bar.at * scale).to_string());
    vec![
        local("time/minutes/AAPL.csv", "%Y-%m-%d %H:%M"),
        local("time/t/AAPL.csv", "%Y-%m-%dT%H:%M"),
        local("time/offset/AAPL.csv", "%Y-%m-%dT%H:%M:%S.000%z"),
        local("time/compact/AAPL.csv", "%Y%m%d %H%M%S"),
        local("time/digits12/AAPL.csv", "%Y%m%d%H%M"),
        local("time/digits14/AAPL.csv", "%Y%m%d%H%M%S"),
        local("time/slashes/AAPL.csv", "%Y/%m/%d %H:%M:%S"),
        local("time/dots/AAPL.csv", "%Y.%m.%d %H:%M"),
        local("time/us/AAPL.csv", "%m/%d/%Y %H:%M"),
        local("time/us12/AAPL.csv", "%-m/%-d/%Y %-I:%M:%S %p"),
        local("time/two_digit_year/AAPL.csv", "%m/%d/%y %H:%M"),
        local("time/month_name/AAPL.csv", "%d-%b-%Y %H:%M:%S"),
        local("time/month_name_first/AAPL.csv", "%b %d %Y %I:%M%p")
            .needs("--time-format %b_%d_%Y_%I:%M%p"),
        local("time/millis/AAPL.csv", "%Y-%m-%d %H:%M:%S.000"),
        file("time/excel/AAPL.csv", HEADER, &aapl, |bar| {
            // Days since 1899-12-30 in local time, as a spreadsheet writes them.
            let seconds = bar.at - 5 * 3_600;
            format!("{:.9}", seconds as f64 / 86_400.0 + 25_569.0)
        }),
        file("time/iso_z/AAPL.csv", HEADER, &aapl, |bar| {
            bar.time(UTC, "%Y-%m-%dT%H:%M:%SZ")
        }),
        epoch("time/epoch_s/AAPL.csv", 1),
        epoch("time/epoch_ms/AAPL.csv", 1_000),
        epoch("time/epoch_us/AAPL.csv", 1_000_000),
        epoch("time/epoch_ns/AAPL.csv", 1_000_000_000),
        file("time/epoch_float/AAPL.csv", HEADER, &aapl, |bar| {
            format!("{}.0", bar.at)
        }),
        file(
            "time/two_columns/AAPL.csv",
            "date,time,open,high,low,close,volume",
            &aapl,
            |bar| bar.time(NEW_YORK, "%Y-%m-%d,%H:%M:%S"),
        ),
        file(
            "time/two_columns_digits/AAPL.csv",
            "date,time,open,high,low,close,volume",
            &aapl,
            |bar| bar.time(NEW_YORK, "%Y%m%d,%H%M"),
        ),
    ]
}

fn zones() -> Vec<Case> {
    let aapl = stock("AAPL", 1);
    let in_header = |path: &str, name: &str, zone| {
        let header = HEADER.replace("timestamp", name);
        file(path, &header, &aapl, move |bar| {
            bar.time(zone, "%Y-%m-%d %H:%M:%S")
        })
    };
    let london = sessions(
        "VOD.L",
        1,
        ["2025-01-13", "2025-01-15"],
        [480, 990],
        chrono_tz::Europe::London,
    );
    vec![
        in_header("zone/utc/AAPL.csv", "Datetime (UTC)", UTC),
        in_header("zone/gmt/AAPL.csv", "Time (GMT)", UTC),
        in_header("zone/eet/AAPL.csv", "Time (EET)", chrono_tz::EET),
        in_header("zone/suffix/AAPL.csv", "timestamp_utc", UTC),
        local("zone/est/AAPL.csv", "%Y-%m-%d %H:%M:%S EST"),
        local("zone/named/AAPL.csv", "%Y-%m-%d %H:%M:%S America/New_York"),
        in_header("zone/unmarked_utc/AAPL.csv", "timestamp", UTC).needs("--timezone UTC"),
        in_header(
            "zone/unmarked_berlin/AAPL.csv",
            "timestamp",
            chrono_tz::Europe::Berlin,
        )
        .needs("--timezone Europe/Berlin"),
        file("zone/london/VOD.L.csv", HEADER, &london, |bar| {
            bar.time(chrono_tz::Europe::London, "%Y-%m-%d %H:%M:%S")
        })
        .needs("--exchange LSE"),
        file("zone/offset_other/VOD.L.csv", HEADER, &london, |bar| {
            bar.time(chrono_tz::Europe::Berlin, "%Y-%m-%dT%H:%M:%S%:z")
        }),
    ]
}

fn dates() -> Vec<Case> {
    let early = stock_early("AAPL", 1);
    let one_day = sessions(
        "AAPL",
        1,
        ["2025-05-06", "2025-05-06"],
        [570, 960],
        NEW_YORK,
    );
    let dated = |path: &str, series: &Series, pattern: &'static str| {
        file(path, HEADER, series, move |bar| bar.time(NEW_YORK, pattern))
    };
    vec![
        dated("dates/dmy/AAPL.csv", &stock("AAPL", 1), "%d/%m/%Y %H:%M"),
        dated(
            "dates/dmy_dots/AAPL.csv",
            &stock("AAPL", 1),
            "%d.%m.%Y %H:%M",
        ),
        dated(
            "dates/dmy_dashes/AAPL.csv",
            &stock("AAPL", 1),
            "%d-%m-%Y %H:%M",
        ),
        dated("dates/early_mdy/AAPL.csv", &early, "%m/%d/%Y %H:%M"),
        dated("dates/early_dmy/AAPL.csv", &early, "%d/%m/%Y %H:%M"),
        dated("dates/one_day/AAPL.csv", &one_day, "%m/%d/%Y %H:%M").needs("--date-order mdy"),
    ]
}

fn numbers() -> Vec<Case> {
    let aapl = stock("AAPL", 1);
    let at = |bar: &Bar| bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S");
    let comma = |value: f64| value.to_string().replace('.', ",");
    let mut kilo = aapl.clone();
    for bar in &mut kilo.bars {
        bar.volume = ((bar.volume / 10.0).round() * 10.0).max(1_000.0);
    }
    vec![
        Case::lines(
            "numbers/decimal_comma/AAPL.csv",
            "timestamp;open;high;low;close;volume",
            &aapl,
            |bar| {
                let prices = [bar.open, bar.high, bar.low, bar.close]
                    .map(comma)
                    .join(";");
                format!("{};{prices};{}", at(bar), bar.volume)
            },
        ),
        Case::lines("numbers/thousands/AAPL.csv", HEADER, &aapl, |bar| {
            format!("{},{},\"{}\"", at(bar), bar.ohlc(), thousands(bar.volume))
        }),
        Case::lines("numbers/dollars/AAPL.csv", HEADER, &aapl, |bar| {
            let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| format!("${price}"));
            format!("{},{},{}", at(bar), prices.join(","), bar.volume)
        }),
        Case::lines("numbers/kilo/AAPL.csv", HEADER, &kilo, |bar| {
            format!("{},{},{:.2}K", at(bar), bar.ohlc(), bar.volume / 1_000.0)
        }),
        Case::lines("numbers/mega/AAPL.csv", HEADER, &mega(&aapl), |bar| {
            format!("{},{},{}M", at(bar), bar.ohlc(), bar.volume / 1_000_000.0)
        }),
        Case::lines("numbers/exponents/AAPL.csv", HEADER, &aapl, |bar| {
            format!("{},{},{:e}", at(bar), bar.ohlc(), bar.volume)
        }),
        Case::lines(
            "numbers/empty_volume/AAPL.csv",
            HEADER,
            &super::stocks::without_volume(aapl.clone()),
            |bar| format!("{},{},", at(bar), bar.ohlc()),
        ),
        Case::lines("numbers/fixed_decimals/AAPL.csv", HEADER, &aapl, |bar| {
            let prices =
                [bar.open, bar.high, bar.low, bar.close].map(|price| format!("{price:.6}"));
            format!("{},{},{:.1}", at(bar), prices.join(","), bar.volume)
        }),
        // Minutes without a trade, as resampling with pandas writes them.
        Case::lines("numbers/nan_rows/AAPL.csv", HEADER, &aapl, |bar| {
            format!("{},{}", at(bar), bar.ohlcv())
        })
        .edit(|text| with_empty_minutes(&text, "NaN,NaN,NaN,NaN,0.0")),
        Case::lines("numbers/blank_rows/AAPL.csv", HEADER, &aapl, |bar| {
            format!("{},{}", at(bar), bar.ohlcv())
        })
        .edit(|text| with_empty_minutes(&text, ",,,,")),
    ]
}

fn mega(series: &Series) -> Series {
    let mut series = series.clone();
    for bar in &mut series.bars {
        bar.volume = bar.volume.max(1.0) * 10_000.0;
    }
    series
}

/// Adds rows without values where a minute has no bar.
fn with_empty_minutes(text: &str, values: &str) -> String {
    let mut out = String::new();
    let mut last: Option<chrono::NaiveDateTime> = None;
    for line in text.lines() {
        let time = line.split(',').next().unwrap_or_default();
        let time = chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S").ok();
        if let (Some(last), Some(time)) = (last, time)
            && (time - last).num_minutes() == 2
        {
            let empty = last + chrono::Duration::minutes(1);
            out.push_str(&format!("{},{values}\n", empty.format("%Y-%m-%d %H:%M:%S")));
        }
        last = time;
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn lines() -> Vec<Case> {
    let plain = |path: &str| local(path, "%Y-%m-%d %H:%M:%S");
    let header = |path: &str, header: &str| {
        file(path, header, &stock("AAPL", 1), |bar| {
            bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S")
        })
    };
    let mut utf16 = plain("lines/utf16/AAPL.csv");
    let text = String::from_utf8(utf16.bytes).unwrap();
    utf16.bytes = std::iter::once(0xfeff)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    vec![
        plain("lines/bom/AAPL.csv").edit(|text| format!("\u{feff}{text}")),
        plain("lines/crlf/AAPL.csv").edit(|text| text.replace('\n', "\r\n")),
        plain("lines/tabs/AAPL.tsv").edit(|text| text.replace(',', "\t")),
        plain("lines/pipes/AAPL.txt").edit(|text| text.replace(',', "|")),
        plain("lines/semicolons/AAPL.csv").edit(|text| text.replace(',', ";")),
        plain("lines/spaces/AAPL.csv").edit(|text| text.replace(',', ", ")),
        plain("lines/quoted/AAPL.csv").edit(|text| {
            let quoted = |line: &str| {
                let fields: Vec<String> = line.split(',').map(|f| format!("\"{f}\"")).collect();
                fields.join(",") + "\n"
            };
            text.lines().map(quoted).collect()
        }),
        plain("lines/trailing_comma/AAPL.csv").edit(|text| text.replace('\n', ",\n")),
        plain("lines/blank_lines/AAPL.csv").edit(|text| text.replace('\n', "\n\n")),
        plain("lines/sep/AAPL.csv").edit(|text| format!("sep=,\n{text}")),
        plain("lines/comment/AAPL.csv").edit(|text| format!("# downloaded 2025-01-16\n{text}")),
        plain("lines/title/AAPL.csv").edit(|text| format!("AAPL one-minute bars\n\n{text}")),
        plain("lines/long_preamble/AAPL.csv")
            .edit(|text| format!("Report\nSymbol;AAPL\nPeriod;January\nUser;me\n{text}"))
            .needs("--skip-lines 4"),
        plain("lines/newest_first/AAPL.csv").edit(|text| {
            let mut rows: Vec<&str> = text.lines().collect();
            rows[1..].reverse();
            rows.join("\n") + "\n"
        }),
        plain("lines/repeated_row/AAPL.csv").edit(|text| {
            let last = text.lines().last().unwrap().to_owned();
            format!("{text}{last}\n")
        }),
        plain("lines/no_line_end/AAPL.csv")
            .edit(|text| text.trim_end().to_owned())
            .needs("--accept-last-line"),
        header(
            "header/upper/AAPL.csv",
            "DATETIME,OPEN,HIGH,LOW,CLOSE,VOLUME",
        ),
        header(
            "header/long/AAPL.csv",
            "Date Time,Open Price,High Price,Low Price,Close Price,Total Volume",
        ),
        header("header/last/AAPL.csv", "time,open,high,low,last,vol"),
        header(
            "header/german/AAPL.csv",
            "Zeit,Eröffnung,Hoch,Tief,Schluss,Umsatz",
        )
        .needs("--columns ts=1,open=2,high=3,low=4,close=5,volume=6"),
        header(
            "header/unknown_volume/AAPL.csv",
            "time,open,high,low,close,volume_shares_traded",
        )
        .needs("--columns volume=6"),
        utf16,
    ]
}

fn intervals() -> Vec<Case> {
    let bars = |path: &str, series: &Series| {
        file(path, HEADER, series, |bar| {
            bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S")
        })
    };
    let dated = |path: &str, series: &Series| {
        file(path, &HEADER.replace("timestamp", "Date"), series, |bar| {
            bar.time(NEW_YORK, "%Y-%m-%d")
        })
    };
    let short = sessions(
        "AAPL",
        1,
        ["2025-01-13", "2025-01-13"],
        [570, 580],
        NEW_YORK,
    );
    let many = |minutes| {
        sessions(
            "AAPL",
            minutes,
            ["2025-01-06", "2025-02-14"],
            [570, 960],
            NEW_YORK,
        )
    };
    let mut odd = stock("AAPL", 5);
    let rows: Vec<String> = (odd.bars.iter().skip(9).step_by(40))
        .map(|bar| {
            let late = Bar {
                at: bar.at + 120,
                ..bar.clone()
            };
            format!(
                "{},{}\n",
                late.time(NEW_YORK, "%Y-%m-%d %H:%M:%S"),
                bar.ohlcv()
            )
        })
        .collect();
    odd.bars.truncate(odd.bars.len());
    vec![
        bars("interval/5/AAPL.csv", &stock("AAPL", 5)),
        bars("interval/15/AAPL.csv", &stock("AAPL", 15)),
        bars("interval/30/AAPL.csv", &stock("AAPL", 30)),
        bars("interval/60/AAPL.csv", &stock("AAPL", 60)),
        bars("interval/ten_rows/AAPL_1min.csv", &short),
        bars("interval/ten_rows/unnamed/AAPL.csv", &short).needs("--interval 1"),
        bars("interval/odd_rows/AAPL_5min.csv", &odd).edit(|text| text + &rows.concat()),
        bars("interval/wrong_name/AAPL_H1.csv", &stock("AAPL", 1)).needs("--interval 1"),
        bars("interval/2/AAPL.csv", &many(2)).impossible(),
        bars("interval/3/AAPL.csv", &many(3)).impossible(),
        bars("interval/10/AAPL.csv", &many(10)).impossible(),
        bars("interval/120/AAPL.csv", &many(120)).impossible(),
        bars("interval/240/AAPL_240.csv", &many(240)).impossible(),
        dated("interval/daily/AAPL.csv", &days("AAPL", 1)).impossible(),
        dated("interval/weekly/AAPL.csv", &days("AAPL", 5)).impossible(),
        dated("interval/monthly/AAPL.csv", &days("AAPL", 21)).impossible(),
        bars("interval/daily_with_time/AAPL.csv", &days("AAPL", 1)).impossible(),
    ]
}
