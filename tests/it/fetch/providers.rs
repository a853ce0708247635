//! A provider unlike FMP through the whole program: many tickers a request, pages, UTC, a key of
//! two parts, unadjusted prices, and bars outside the session that weren't requested.

use super::wire::{Received, Response, Server};
use super::*;

const ID: &str = "idPartOfTheToyKey";
const SECRET: &str = "secretPartOfTheToyKey";
/// Bars of one page, as the provider's facts say.
const PAGE_BARS: usize = 500;
const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// It has bars from 13:00 to 22:00 UTC; the session is from 14:30 to 21:00.
const MINUTES: std::ops::Range<i64> = 13 * 60..22 * 60;

/// A scratch folder, and the provider's server.
struct Toy {
    env: TestEnv,
    server: Server,
}

/// What the server does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    None,
    /// Names the page that it just sent as the next one.
    RepeatsPages,
}

impl Toy {
    fn start(habit: Habit) -> Self {
        Self {
            env: TestEnv::new(),
            server: Server::start(move |received| respond(received, habit)),
        }
    }

    fn program(&self, line: &str) -> Program<'_> {
        (self.env.program(line.split_whitespace()))
            .env("TOY_KEY_ID", ID)
            .env("TOY_SECRET", SECRET)
            .env("TOY_BASE_URL", &self.server.url)
    }

    fn run(&self, line: &str) -> Run {
        let run = self.program(line).run();
        for part in [ID, SECRET] {
            assert!(
                !run.stderr.contains(part) && !run.out().contains(part),
                "{}",
                run.snapshot()
            );
        }
        run
    }

    fn requests(&self) -> Vec<String> {
        self.server.requests()
    }

    fn staged(&self, ticker: &str) -> Vec<Bar> {
        staged(&self.env.path("data/staging"), ticker, Interval::M1)
    }
}

fn price(ticker: &str) -> f64 {
    f64::from(ticker.bytes().map(u32::from).sum::<u32>())
}

/// One page of the requested rows, ticker by ticker: pages end inside a ticker, and have several.
fn respond(received: &Received<'_>, habit: Habit) -> Response {
    if !received.headers.contains(ID) || !received.headers.contains(SECRET) {
        // It repeats what it was sent, as servers do.
        return Response::new("401 Unauthorized", format!("bad key: {}", received.headers));
    }
    let value = |name: &str| received.value(name);
    let (tickers, from) = (value("tickers").unwrap(), value("from").unwrap());
    let bounds = from.parse::<i64>().unwrap()..value("before").unwrap().parse().unwrap();
    let path = received.target.split('?').next().unwrap();
    let minutes: i64 = path.split('/').next_back().unwrap().parse().unwrap();
    let mut rows = Vec::new();
    for ticker in tickers.split(',') {
        if ticker == "BAD" {
            return Response::new("422 Unprocessable Entity", "BAD is not a ticker");
        }
        // A ticker that the provider knows and has nothing of.
        if ticker == "NONE" {
            continue;
        }
        let price = price(ticker);
        for day in bounds.start.div_euclid(DAY)..=bounds.end.div_euclid(DAY) {
            let opens = MINUTES.step_by(usize::try_from(minutes).unwrap());
            let opens = opens.map(|minute| day * DAY + minute * MINUTE);
            for at in opens.filter(|at| bounds.contains(at)) {
                rows.push(format!(
                    "[\"{ticker}\",{at},{price},{price},{price},{price},7]"
                ));
            }
        }
    }
    let page: usize = value("page").map_or(0, |page| page.parse().unwrap());
    let start = (page * PAGE_BARS).min(rows.len());
    let end = (start + PAGE_BARS).min(rows.len());
    let next = match habit {
        Habit::RepeatsPages => format!("\"{page}\""),
        Habit::None if end < rows.len() => format!("\"{}\"", page + 1),
        Habit::None => "null".to_owned(),
    };
    let rows = rows[start..end].join(",");
    Response::ok(format!("{{\"bars\":[{rows}],\"next\":{next}}}"))
}

const WEEK: &str = "concurrent --provider toy --start 2025-02-03 --end 2025-02-07 --threads 2";
const SESSION: usize = 390;

#[test]
fn a_paged_provider_of_many_tickers_fills_the_store() {
    let toy = Toy::start(Habit::None);
    let line = format!("{WEEK} --tickers ACME NONE BETA DELT --summary-json");
    let run = toy.run(&line).ok();
    let requests = toy.requests();
    // Three tickers share a request, and the fourth is on its own; each page is a request.
    let pages = |tickers: usize| (tickers * 5 * MINUTES.count()).div_ceil(PAGE_BARS);
    let of = |tickers: &str| {
        let tickers = format!("tickers={tickers}&");
        requests
            .iter()
            .filter(|request| request.contains(&tickers))
            .count()
    };
    assert_eq!(of("ACME%2CNONE%2CBETA"), pages(2), "{requests:?}");
    assert_eq!(of("DELT"), pages(1), "{requests:?}");
    assert_eq!(requests.len(), pages(2) + pages(1));
    let summary = run.json();
    assert_eq!(summary["totals"]["requests"], requests.len());
    assert_eq!(summary["totals"]["committed"], 3 * 5 * SESSION);
    assert!(
        run.stderr.contains("[NONE] No data in "),
        "{}",
        run.snapshot()
    );
    // Each ticker has its own bars, and only those of the session.
    for ticker in ["ACME", "BETA", "DELT"] {
        let staged = toy.staged(ticker);
        assert_eq!(staged.len(), 5 * SESSION, "{ticker}");
        let first: chrono::DateTime<chrono::Utc> = "2025-02-03T14:30:00Z".parse().unwrap();
        assert_eq!(staged[0].timestamp, first.into());
        assert!(
            staged.iter().all(|bar| bar.close == price(ticker)),
            "{ticker}"
        );
    }
    // Everything is answered, the ticker without bars too.
    toy.run(&format!("{line} --resume")).ok();
    assert_eq!(toy.requests(), Vec::<String>::new());
    let gaps = toy.run("gaps --format json").ok().json();
    let gaps = gaps["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 5, "{gaps:?}");
    assert!(
        gaps.iter()
            .all(|gap| gap["ticker"] == "NONE" && gap["reason"] == "empty")
    );
    // One request and its pages for all of them, too, when the gaps are filled.
    toy.run("gaps --fill --provider toy --threads 2").ok();
    let filled = toy.requests();
    assert!(
        !filled.is_empty()
            && filled
                .iter()
                .all(|request| request.contains("tickers=NONE&"))
    );
}

#[test]
fn a_plan_counts_pages_as_requests() {
    let toy = Toy::start(Habit::None);
    let run = toy
        .run(&format!(
            "{WEEK} --tickers ACME BETA GAMA DELT --plan --rate 10"
        ))
        .ok();
    let plan = run.out().lines().last().unwrap_or_default().to_owned();
    // At most 16 hours of bars a day, 500 a page: 29 pages for three tickers, 10 for one.
    assert!(
        plan.contains("windows=4 requests=39 least=0:03:54"),
        "{plan}"
    );
    assert_eq!(toy.requests(), Vec::<String>::new());
}

#[test]
fn one_thread_requests_page_after_page_and_all_hours_are_kept_if_wanted() {
    let toy = Toy::start(Habit::None);
    let line = WEEK
        .replace("concurrent", "specific")
        .replace(" --threads 2", "");
    toy.run(&format!(
        "{line} --tickers ACME BETA --extended-hours --unadjusted"
    ))
    .ok();
    for ticker in ["ACME", "BETA"] {
        assert_eq!(toy.staged(ticker).len(), 5 * MINUTES.count(), "{ticker}");
    }
    let pages: Vec<String> = toy.requests();
    assert_eq!(pages.len(), (2 * 5 * MINUTES.count()).div_ceil(PAGE_BARS));
    let status = toy.run("status --format json").ok();
    assert!(
        status.out().contains("unadjusted") || !status.out().contains("split"),
        "{}",
        status.out()
    );
}

#[test]
fn a_ticker_that_is_refused_does_not_stop_those_requested_with_it() {
    let toy = Toy::start(Habit::None);
    let run = toy.run(&format!("{WEEK} --tickers ACME BAD BETA")).code(3);
    assert!(
        run.stderr.contains("[BAD] Failed in "),
        "{}",
        run.snapshot()
    );
    assert!(
        run.stderr.contains("BAD is not a ticker"),
        "{}",
        run.snapshot()
    );
    for ticker in ["ACME", "BETA"] {
        assert_eq!(toy.staged(ticker).len(), 5 * SESSION, "{ticker}");
    }
}

#[test]
fn a_page_that_is_repeated_ends_the_window() {
    let toy = Toy::start(Habit::RepeatsPages);
    let run = toy.run(&format!("{WEEK} --tickers ACME")).code(3);
    assert!(run.stderr.contains("repeats a page"), "{}", run.snapshot());
    assert_eq!(toy.requests().len(), 2);
}

#[test]
fn what_a_provider_does_not_offer_is_refused_before_any_request() {
    let toy = Toy::start(Habit::None);
    for (options, message) in [
        ("--interval 15", "--provider toy has no 15-minute bars"),
        ("--interval 60", "do not start where those of a store do"),
    ] {
        let run = toy.run(&format!("{WEEK} --tickers ACME {options}")).code(2);
        assert!(run.stderr.contains(message), "{}", run.snapshot());
    }
    assert_eq!(toy.requests(), Vec::<String>::new());
    toy.run(&format!(
        "{WEEK} --tickers ACME --interval 60 --extended-hours"
    ))
    .ok();
}

/// A store of adjusted prices is not filled from a provider that has none.
#[test]
fn gaps_are_filled_only_with_prices_of_the_same_basis() {
    let toy = Toy::start(Habit::None);
    toy.run(
        "specific --provider demo --store data/staging --tickers ACME --start 2025-02-03 --end 2025-02-05",
    )
    .ok();
    let stored = toy.staged("ACME");
    let run = toy
        .run("gaps --fill --provider toy --start 2025-02-03 --end 2025-02-07")
        .code(2);
    assert!(
        run.stderr
            .contains("--provider toy has no split-adjusted prices"),
        "{}",
        run.snapshot()
    );
    assert_eq!(toy.requests(), Vec::<String>::new());
    assert_eq!(toy.staged("ACME"), stored);
}

#[test]
fn a_key_has_two_parts_and_neither_is_shown() {
    let toy = Toy::start(Habit::None);
    let line = format!("{WEEK} --tickers ACME");
    let words = || line.split_whitespace();
    let run = (toy.env.program(words()))
        .env("TOY_KEY_ID", ID)
        .run()
        .code(1);
    assert!(
        run.stderr.contains("TOY_SECRET is not set"),
        "{}",
        run.snapshot()
    );
    assert!(
        run.stderr.contains("set TOY_KEY_ID and TOY_SECRET"),
        "{}",
        run.snapshot()
    );
    // The other variable of the first part, and a server that repeats what it was sent.
    let other = "another-secret";
    let run = (toy.env.program(words()))
        .env("TOY_KEY", ID)
        .env("TOY_SECRET", other)
        .env("TOY_BASE_URL", &toy.server.url)
        .run()
        .code(1);
    assert!(run.stderr.contains("refuses the key"), "{}", run.snapshot());
    for part in [ID, other] {
        assert!(!run.stderr.contains(part), "{}", run.snapshot());
    }
    let check = toy.run("check --provider toy").ok();
    assert!(
        check.out().contains("toy accepts the key"),
        "{}",
        check.snapshot()
    );
}
