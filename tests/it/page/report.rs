//! `report`: what is inside the file.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;

use super::{HOSTILE, HOSTILE_SPIKE, add_other, add_spikes, filled};
use crate::support::TestEnv;

/// The documents inside a report.
fn documents(html: &str) -> Value {
    let (_, rest) = html.split_once("id=\"data\">").unwrap();
    let (packed, _) = rest.split_once("</script>").unwrap();
    let packed = STANDARD.decode(packed).unwrap();
    let mut text = String::new();
    GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

fn reported(env: &TestEnv, more: &str) -> Value {
    env.typed(&format!("report --to report.html {more}")).ok();
    documents(&env.read("report.html"))
}

#[test]
fn its_documents_are_those_of_the_commands() {
    let env = filled();
    let page = reported(&env, "");
    let status = env.typed("status --format json").ok().json();
    assert_eq!(page["series"]["totals"], status["totals"]);
    for (shown, listed) in (page["series"]["series"].as_array().unwrap().iter())
        .zip(status["series"].as_array().unwrap())
    {
        for (name, value) in listed.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{name}");
        }
    }
    let gaps = env.typed("gaps --format json").ok().json();
    let names = |gaps: &Value| -> Vec<(Value, Value, Value, Value)> {
        let gaps = gaps["gaps"].as_array().unwrap().iter();
        gaps.map(|gap| {
            let field = |name: &str| gap[name].clone();
            (
                field("ticker"),
                field("session"),
                field("reason"),
                field("bars"),
            )
        })
        .collect()
    };
    assert_eq!(names(&page["gaps"]), names(&gaps));
    assert!(names(&gaps).len() >= 2, "{gaps}");
    let conflicts = env.typed("conflicts --format json").ok().json();
    assert_eq!(page["conflicts"]["total"], 30);
    assert_eq!(conflicts["conflicts"].as_array().unwrap().len(), 30);
    let runs = env.typed("status --runs --format json").ok().json();
    let (shown, listed) = (&page["runs"]["runs"], &runs["runs"]);
    assert_eq!(shown.as_array().unwrap().len(), 3);
    assert_eq!(shown[0]["run"], listed[0]["run"]);
    assert_eq!(
        shown[2]["summary"]["totals"],
        listed[2]["summary"]["totals"]
    );
    assert_eq!(page["targets"]["targets"], Value::Array(Vec::new()));
}

/// A cell of the coverage: state, bars and expected bars of a ticker's session.
fn cell(page: &Value, ticker: &str, date: &str) -> (String, String, String) {
    let rows = page["coverage"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["ticker"] == ticker).unwrap();
    let distances = page["coverage"]["calendars"][row["exchange"].as_str().unwrap()]
        .as_array()
        .unwrap();
    let mut day = 0;
    let dates: Vec<chrono::NaiveDate> = distances
        .iter()
        .map(|distance| {
            day += distance.as_i64().unwrap();
            chrono::NaiveDate::from_epoch_days(i32::try_from(day).unwrap()).unwrap()
        })
        .collect();
    let at = dates
        .iter()
        .position(|one| one.to_string() == date)
        .unwrap();
    let at = at - usize::try_from(row["from"].as_u64().unwrap()).unwrap();
    let value = |name: &str| {
        let runs = row[name].as_str().unwrap().split(',');
        let mut values = runs.flat_map(|run| {
            let (value, times) = run.split_once('*').unwrap_or((run, "1"));
            std::iter::repeat_n(value.to_owned(), times.parse().unwrap())
        });
        values.nth(at).unwrap()
    };
    (value("states"), value("bars"), value("expected"))
}

#[test]
fn every_session_has_its_state_and_its_bars() {
    let page = reported(&filled(), "");
    let of = |ticker, date| {
        let (state, bars, expected) = cell(&page, ticker, date);
        format!("{state} {bars}/{expected}")
    };
    assert_eq!(of("AAPL", "2025-01-06"), "c 390/390");
    // A holiday (the 9th) is no session; the 8th has no bars.
    assert_eq!(of("AAPL", "2025-01-08"), "n 0/390");
    assert_eq!(of("AAPL", "2025-01-10"), "c 390/390");
    assert_eq!(of("MSFT", "2025-01-07"), "c 390/390");
    let sessions = page["coverage"]["calendars"]["NASDAQ"].as_array().unwrap();
    assert_eq!(sessions.len(), 4);
}

#[test]
fn bars_are_those_of_the_store_and_are_limited_by_whole_days() {
    let env = filled();
    let page = reported(&env, "");
    let of = |page: &Value, ticker: &str| {
        let bars = page["bars"].as_array().unwrap().iter();
        bars.clone().find(|bars| bars["ticker"] == ticker).cloned()
    };
    let aapl = of(&page, "AAPL").unwrap();
    let exported = env.typed("export --to - --tickers AAPL").ok();
    let mut reader = csv::Reader::from_reader(exported.out().as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(aapl["time"].as_array().unwrap().len(), rows.len());
    for (index, row) in rows.iter().enumerate() {
        let time = chrono::DateTime::parse_from_rfc3339(&row[1])
            .unwrap()
            .timestamp();
        assert_eq!(aapl["time"][index], time);
        for (column, name) in ["open", "high", "low", "close", "volume"]
            .into_iter()
            .enumerate()
        {
            let value: f64 = row[2 + column].parse().unwrap();
            assert_eq!(
                aapl[name][index].as_f64(),
                Some(value),
                "{name} of row {index}"
            );
        }
    }
    assert_eq!(aapl["splits"][0]["ratio"], 4.0);
    assert_eq!(aapl["conflicts"].as_array().unwrap().len(), 30);
    assert_eq!(aapl["lacking"][0]["session"], "2025-01-08");
    assert_eq!(aapl["sessions"].as_array().unwrap().len(), 4);

    // The newest day of AAPL fits, not the next older one.
    let run = env.typed("report --to report.html --max-bars 500").ok();
    assert!(
        run.stderr.contains("1,580 older bars are not in the file"),
        "{}",
        run.stderr
    );
    let small = documents(&env.read("report.html"));
    let aapl = of(&small, "AAPL").unwrap();
    assert_eq!(aapl["time"].as_array().unwrap().len(), 390);
    assert_eq!(aapl["from"], "2025-01-10");
    assert!(of(&small, "MSFT").is_none());
    assert_eq!(small["coverage"], page["coverage"], "coverage is complete");
}

#[test]
fn a_second_store_is_inside_for_the_same_series_and_days() {
    let env = filled();
    add_other(&env);
    let page = reported(&env, "--compare second");
    assert_eq!(page["series"]["compared_store"], "second");
    let series = page["series"]["series"].as_array().unwrap();
    let both: Vec<bool> = (series.iter())
        .map(|one| one["compared"].as_bool().unwrap())
        .collect();
    // The hostile one, AAPL, MSFT.
    assert_eq!(both, [false, true, false]);
    let compared = page["compared_bars"].as_array().unwrap();
    assert_eq!(compared.len(), 1);
    assert_eq!(compared[0]["ticker"], "AAPL");
    assert_eq!(compared[0]["time"].as_array().unwrap().len(), 3 * 390);
    assert_eq!(compared[0]["open"][0], 400.4);
    let listed = env.typed("compare second --format json").ok().json();
    assert_eq!(page["comparison"]["series"], listed["series"]);
    assert_eq!(listed["series"].as_array().unwrap().len(), 4);
    let small = reported(&env, "--compare second --max-bars 500");
    let days = &small["compared_bars"][0];
    assert_eq!(days["from"], "2025-01-10", "the days of the first store");
    assert_eq!(days["time"].as_array().unwrap().len(), 390);
    let alone = reported(&env, "");
    assert!(alone.get("compared_bars").is_none());
    assert!(alone["series"].get("compared_store").is_none());
    let run = (env.typed("report --to r.html --compare nowhere")).code(1);
    let hint = "error: there is no store in nowhere\nhint: name the folder of the second store";
    assert!(run.stderr.contains(hint), "{}", run.stderr);
    let run = (env.typed("report --to second/r.html --compare second")).code(2);
    assert!(run.stderr.contains("second"), "{}", run.stderr);
}

#[test]
fn an_audited_report_has_the_findings_of_audit() {
    let env = filled();
    add_spikes(&env);
    let same = |page: &Value, listed: &Value| {
        for name in ["schema", "series", "bars", "not_listed", "findings"] {
            assert_eq!(page["findings"][name], listed[name], "{name}");
        }
        listed["findings"].as_array().unwrap().clone()
    };
    let listed = env.typed("audit --format json").ok().json();
    let found = same(&reported(&env, "--audit"), &listed);
    let spike = |ticker| move |one: &&Value| one["check"] == "spike" && one["ticker"] == ticker;
    for ticker in ["SPIKE", HOSTILE_SPIKE] {
        let spikes: Vec<&Value> = found.iter().filter(spike(ticker)).collect();
        assert_eq!(spikes.len(), 1, "{ticker}: {listed}");
        assert_eq!(spikes[0]["first"], "2025-01-07T15:00:00Z");
    }
    let scope = "--tickers SPIKE,MSFT --start 2025-01-07 --end 2025-01-07";
    let listed = env.typed(&format!("audit --format json {scope}")).ok();
    let few = same(&reported(&env, &format!("--audit {scope}")), &listed.json());
    assert!(!few.is_empty() && few.len() < found.len(), "{few:?}");
    let page = reported(&env, "");
    assert!(page.get("findings").is_none(), "it isn't asked for");
    assert!(!env.read("report.html").contains(HOSTILE_SPIKE));
}

#[test]
fn it_fetches_nothing_and_names_no_folder() {
    let env = filled();
    env.write(
        "bad.csv",
        "timestamp,open,high,low,close,volume\n2025-01-06 09:30:00,x,1,1,1,1\n",
    );
    let bad = env.path("bad.csv");
    env.run(["inject-csv", bad.to_str().unwrap(), "--ticker", "BAD"]);
    let page = reported(&env, "");
    let folder = env.dir().to_str().unwrap();
    assert!(!page.to_string().contains(folder), "{page}");
    let html = env.read("report.html");
    assert!(!html.contains(folder) && !html.contains(HOSTILE));
    assert!(html.contains("default-src 'none'"));
    // Links are for people to click; nothing loads from an address.
    for attribute in ["src=\"", "url(", "@import", "href=\"http"] {
        let outside = html.match_indices(attribute).filter(|(at, _)| {
            let rest = &html[*at..(*at + 60).min(html.len())];
            rest.contains("http") && !rest.contains("www.tradingview.com")
        });
        assert_eq!(outside.count(), 0, "{attribute}");
    }
}

#[test]
fn tickers_and_dates_limit_the_page_and_mistakes_are_refused() {
    let env = filled();
    let page = reported(&env, "--tickers MSFT --start 2025-01-07");
    assert_eq!(page["series"]["series"].as_array().unwrap().len(), 1);
    assert_eq!(page["bars"][0]["time"].as_array().unwrap().len(), 390);
    let run = env.typed("report --to data/staging/report.html").code(2);
    assert!(run.stderr.contains("store"), "{}", run.stderr);
    let run = env.typed("report --to none/report.html").code(1);
    assert!(run.stderr.contains("none/report.html"), "{}", run.stderr);
    env.typed("report --to r.html --store nowhere").code(1);
    assert!(!env.path("r.html").exists());
}
