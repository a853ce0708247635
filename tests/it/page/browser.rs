//! The page in a real browser: `make test-page`.
//!
//! These tests need chromium and chromedriver, so `make test` leaves them out.

use std::path::Path;

use super::webdriver::Browser;
use super::{HOSTILE, HOSTILE_SPIKE, add_other, add_spikes, filled, serve};
use crate::support::TestEnv;

const ENTER: char = '\u{E007}';
const LEFT: char = '\u{E012}';
const RIGHT: char = '\u{E014}';

/// The middle of the cell of a session in the coverage: its row and column, from 0.
const fn cell(row: i64, column: i64) -> (i64, i64) {
    // Widths and heights of coverage.js: labels, head, cells.
    (118 + column * 9 + 4, 34 + row * 18 + 9)
}

/// Moves a point in the map into the window.
fn in_window(browser: &Browser, (x, y): (i64, i64)) -> (i64, i64) {
    let of = |side: &str| {
        let side = format!("document.querySelector('.map').getBoundingClientRect().{side} + 1");
        browser.value(&side).as_f64().unwrap() as i64
    };
    (x + of("left"), y + of("top"))
}

/// The colour of a pixel of the coverage, and of a name in the style, as `rgb(…)`.
fn colour_at(browser: &Browser, (x, y): (i64, i64)) -> String {
    let pixel = format!(
        "(() => {{ const [r, g, b] = document.querySelector('.map canvas').getContext('2d').getImageData({x}, {y}, 1, 1).data; return `rgb(${{r}}, ${{g}}, ${{b}})`; }})()"
    );
    browser.value(&pixel).as_str().unwrap().to_owned()
}

fn colour_of(browser: &Browser, name: &str) -> String {
    let computed = format!(
        "(() => {{ const probe = document.createElement('i'); probe.style.color = 'var({name})'; document.body.append(probe); const found = getComputedStyle(probe).color; probe.remove(); return found; }})()"
    );
    browser.value(&computed).as_str().unwrap().to_owned()
}

fn text(browser: &Browser) -> String {
    let text = browser.value("document.body.innerText");
    text.as_str().unwrap().to_owned()
}

fn go(browser: &Browser, hash: &str) {
    browser.value(&format!("location.hash = {}", serde_json::json!(hash)));
}

fn is_clean(browser: &Browser) {
    // Reading pixels back is what this test does, not the page.
    let mut messages = browser.console();
    messages.retain(|message| !message.contains("willReadFrequently"));
    assert_eq!(messages, Vec::<String>::new(), "errors in the console");
}

fn report(env: &TestEnv) -> String {
    env.typed("report --to report.html").ok();
    format!("file://{}", env.path("report.html").display())
}

/// What both doors show of the store of [`filled`].
fn shows_every_view(browser: &Browser) {
    browser.wait_for(
        "document.querySelector('.map canvas') && document.querySelector('.view').dataset.ready",
    );
    browser.wait_for("document.querySelector('.map canvas').width > 100");
    std::thread::sleep(std::time::Duration::from_millis(200));
    // Rows are sorted by ticker: the hostile one, AAPL, MSFT.
    assert_eq!(
        colour_at(browser, cell(1, 0)),
        colour_of(browser, "--complete")
    );
    assert_eq!(
        colour_at(browser, cell(1, 2)),
        colour_of(browser, "--never")
    );
    assert_eq!(
        colour_at(browser, cell(1, 3)),
        colour_of(browser, "--complete")
    );
    let (x, y) = in_window(browser, cell(1, 2));
    browser.point(x, y, false);
    browser.wait_for("document.querySelector('.tip')?.hidden === false");
    let tip = browser.value("document.querySelector('.tip').textContent");
    let tip = tip.as_str().unwrap();
    assert!(
        tip.contains("AAPL") && tip.contains("Wed 2025-01-08"),
        "{tip}"
    );
    assert!(tip.contains("never asked: 0 of 390 bars"), "{tip}");

    let (x, y) = in_window(browser, cell(1, 0));
    browser.point(x, y, true);
    browser.wait_for("document.querySelector('.view')?.dataset.bars === '390'");
    assert_eq!(
        browser.value("location.hash"),
        "#/chart/AAPL?interval=1&from=2025-01-06&to=2025-01-06"
    );
    browser.wait_for("document.querySelectorAll('.chart canvas').length > 3");
    assert!(
        text(browser).contains("390 1-minute bars"),
        "{}",
        text(browser)
    );
    // The legend has the time of New York, of the bar under the mouse.
    browser.wait_for("/2025-01-06 (09|1[0-5]):[0-5][0-9] +O [0-9]/.test(document.querySelector('.legend-box').innerText)");
    // The next day with the keyboard, then all of it: blank room for the session without bars.
    browser.press(&RIGHT.to_string());
    browser.wait_for("location.hash.includes('from=2025-01-07&to=2025-01-07')");
    browser.press(&LEFT.to_string());
    browser.wait_for("location.hash.includes('from=2025-01-06&to=2025-01-06')");
    go(
        browser,
        "#/chart/AAPL?interval=1&from=2025-01-06&to=2025-01-10",
    );
    browser.wait_for("document.querySelector('.view')?.dataset.bars === '234'");
    assert!(
        text(browser).contains("1 session lacks bars"),
        "{}",
        text(browser)
    );

    go(browser, "#/gaps");
    browser.wait_for("document.querySelectorAll('tbody tr').length === 2");
    let command =
        "backfill gaps --fill --tickers AAPL --interval 1 --start 2025-01-08 --end 2025-01-08";
    assert!(text(browser).contains(command), "{}", text(browser));
    let quoted = "--tickers '<IMG SRC=X ONERROR=ALERT(1)>'";
    assert!(text(browser).contains(quoted), "{}", text(browser));

    go(browser, "#/conflicts");
    browser.wait_for("document.querySelector('.bars')");
    assert!(text(browser).contains("30 conflicts"), "{}", text(browser));
    browser.value("[...document.querySelectorAll('td button')][0].click()");
    browser.wait_for("document.body.innerText.includes('400.00 → 100.00')");

    go(browser, "#/runs");
    browser.wait_for("document.querySelectorAll('tbody tr').length === 3");
    assert!(text(browser).contains("inject-csv"), "{}", text(browser));
    go(browser, "#/targets");
    browser.wait_for("document.body.innerText.includes('has no targets yet')");

    // A name is a text, in the search too.
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    go(
        browser,
        &format!("#/chart/{}", "%3CIMG%20SRC%3DX%20ONERROR%3DALERT(1)%3E"),
    );
    browser.wait_for("document.querySelector('.view')?.dataset.bars === '40'");
    assert!(text(browser).contains(HOSTILE), "{}", text(browser));
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    go(browser, "#/coverage");
    browser.wait_for("document.querySelector('.map')");
    browser.press("/");
    browser.press(&format!("msft{ENTER}"));
    browser.wait_for("location.hash.startsWith('#/chart/MSFT')");
    browser.wait_for("document.querySelector('.view')?.dataset.bars > 0");
}

#[test]
#[ignore = "needs chromium: make test-page"]
fn a_report_opens_from_disk_and_fetches_nothing() {
    let env = filled();
    let browser = Browser::start(1200, 800, false);
    browser.open(&report(&env));
    shows_every_view(&browser);
    is_clean(&browser);
    let outside: Vec<String> = (browser.requested().into_iter())
        .filter(|url| {
            !["file:", "data:", "blob:"]
                .iter()
                .any(|own| url.starts_with(own))
        })
        .collect();
    assert_eq!(outside, Vec::<String>::new());
}

#[test]
#[ignore = "needs chromium: make test-page"]
fn a_server_shows_the_same() {
    let env = filled();
    let (_running, url) = serve(&env, "");
    let browser = Browser::start(1200, 800, false);
    browser.open(&url);
    browser.wait_for("location.pathname === '/' && location.search === ''");
    shows_every_view(&browser);
    is_clean(&browser);
    let origin = url.split("/?").next().unwrap();
    let outside: Vec<String> = (browser.requested().into_iter())
        .filter(|url| !url.starts_with(origin) && !url.starts_with("data:"))
        .collect();
    assert_eq!(outside, Vec::<String>::new());
}

#[test]
#[ignore = "needs chromium: make test-page"]
fn a_second_store_is_laid_over_a_chart() {
    let env = filled();
    add_other(&env);
    env.typed("report --to report.html --compare second").ok();
    let file = format!("file://{}", env.path("report.html").display());
    let (_running, url) = serve(&env, "--compare second");
    let browser = Browser::start(1200, 800, false);
    for door in [file, url] {
        browser.open("about:blank");
        browser.open(&door);
        browser.wait_for("document.querySelector('.map')");
        go(
            &browser,
            "#/chart/AAPL?interval=1&from=2025-01-06&to=2025-01-06",
        );
        browser.wait_for("document.querySelector('.view')?.dataset.bars === '390'");
        assert!(!text(&browser).contains("bps"), "{}", text(&browser));
        browser.value(
            "(() => { const pick = document.querySelector('[aria-label=Overlay]'); pick.value = 'compared'; pick.dispatchEvent(new Event('change')); })()",
        );
        // 400.4 is ten basis points above 400.
        browser.wait_for("/AAPL in second +C [0-9.]+ +[+](9.99|10.0[01]) bps/.test(document.querySelector('.legend-box').innerText)");
        browser.wait_for("location.hash.includes('overlay=compared')");
        go(&browser, "#/comparison");
        browser.wait_for("document.querySelectorAll('tbody tr').length === 4");
        browser.wait_for("!document.body.innerText.includes('so far')");
        assert!(
            text(&browser).contains("only in the other store"),
            "{}",
            text(&browser)
        );
        browser.value("[...document.querySelectorAll('td a')].find((link) => link.innerText === 'AAPL').click()");
        browser.wait_for(
            "document.querySelector('.legend-box')?.innerText.includes('AAPL in second')",
        );
        // MSFT is only in the first store.
        go(&browser, "#/chart/MSFT");
        browser.wait_for("document.querySelector('.view')?.dataset.bars > 0");
        let choices = browser.value("document.querySelector('[aria-label=Overlay]').innerText");
        assert!(!choices.as_str().unwrap().contains("second"), "{choices}");
    }
    is_clean(&browser);
}

#[test]
#[ignore = "needs chromium: make test-page"]
fn a_finding_leads_to_its_session_in_the_chart() {
    let env = filled();
    add_spikes(&env);
    env.typed("report --to plain.html").ok();
    env.typed("report --to report.html --audit").ok();
    let file = |name| format!("file://{}", env.path(name).display());
    let (_running, url) = serve(&env, "");
    let browser = Browser::start(1200, 800, false);
    for door in [file("report.html"), url] {
        browser.open("about:blank");
        browser.open(&door);
        browser.wait_for("document.querySelector('.map')");
        go(&browser, "#/findings?check=spike");
        // SPIKE and the hostile one.
        browser.wait_for("document.querySelectorAll('tbody tr').length === 2");
        browser.wait_for("!document.body.innerText.includes('so far')");
        let shown = text(&browser);
        assert!(shown.contains(HOSTILE_SPIKE), "{shown}");
        assert!(shown.contains("2 errors and 0 warnings"), "{shown}");
        assert!(shown.contains("2025-01-07 10:00"), "{shown}");
        assert_eq!(browser.value("document.querySelectorAll('td b').length"), 0);
        browser.value(
            "(() => { const pick = document.querySelector('[aria-label=Severity]'); pick.value = 'warning'; pick.dispatchEvent(new Event('change')); })()",
        );
        browser.wait_for("document.querySelectorAll('tbody tr').length === 0");
        browser.wait_for("location.hash === '#/findings?check=spike&severity=warning'");
        go(
            &browser,
            "#/findings?check=spike&severity=error&ticker=SPIKE",
        );
        browser.wait_for("document.querySelectorAll('tbody tr').length === 1");
        browser.value("document.querySelector('td a').click()");
        browser.wait_for("document.querySelector('.view')?.dataset.bars === '390'");
        browser
            .wait_for("location.hash === '#/chart/SPIKE?interval=1&from=2025-01-07&to=2025-01-07'");
        browser.wait_for("document.querySelector('.view').dataset.marks.includes('spike')");
        assert!(text(&browser).contains("finding"), "{}", text(&browser));
        go(
            &browser,
            "#/chart/SPIKE?interval=1&from=2025-01-08&to=2025-01-08",
        );
        browser.wait_for("document.querySelector('.view')?.dataset.marks === ''");
    }
    browser.open(&file("plain.html"));
    browser.wait_for("document.querySelector('.map')");
    go(&browser, "#/findings");
    browser.wait_for("document.body.innerText.includes('backfill report --audit')");
    is_clean(&browser);
}

/// The sessions that a server knows of the first rows are fewer than those of the last row, which has
/// a rejected row on an earlier day.
#[test]
#[ignore = "needs chromium: make test-page"]
fn rows_that_are_fetched_later_are_below_the_same_dates() {
    let env = TestEnv::new();
    let mut rows = "ticker,timestamp,open,high,low,close,volume\n".to_owned();
    let mut add = |ticker: &str, date: &str, open: &str| {
        for minute in 30..50 {
            rows += &format!("{ticker},{date} 09:{minute}:00,{open},5,3,4,9\n");
        }
    };
    for ticker in 0..59 {
        add(&format!("A{ticker:02}"), "2025-01-06", "4");
        add(&format!("A{ticker:02}"), "2025-01-07", "4");
    }
    add("ZZZ", "2025-01-02", "x");
    add("ZZZ", "2025-01-07", "4");
    env.write("many.csv", rows);
    env.typed("inject-csv many.csv --interval 1 --timezone America/New_York --exchange NASDAQ");
    let (_running, url) = serve(&env, "");
    let browser = Browser::start(1200, 800, false);
    browser.open(&url);
    browser.wait_for("document.querySelector('.view')?.dataset.ready");
    let shows = |row: i64, states: [&str; 4]| {
        browser.value("requestAnimationFrame(() => (document.body.dataset.drawn = 'yes'))");
        browser.wait_for("document.body.dataset.drawn");
        browser.value("delete document.body.dataset.drawn");
        let scrolled = browser.value("Math.round(document.querySelector('.map').scrollTop)");
        for (column, state) in states.into_iter().enumerate() {
            let (x, y) = cell(row, i64::try_from(column).unwrap());
            assert_eq!(
                colour_at(&browser, (x, y - scrolled.as_i64().unwrap())),
                colour_of(&browser, state),
                "row {row}, column {column}"
            );
        }
    };
    // They are fetched before they are visible: there are two more sessions before the others.
    browser.wait_for("document.querySelector('.map .space').style.width === '154px'");
    shows(0, ["--ground", "--ground", "--complete", "--complete"]);
    browser.value("(document.querySelector('.map').scrollTop = 59 * 18, 1)");
    shows(59, ["--short", "--never", "--never", "--complete"]);
    shows(58, ["--ground", "--ground", "--complete", "--complete"]);
    is_clean(&browser);
}

#[test]
#[ignore = "needs chromium: make test-page"]
fn a_running_backfill_is_seen_live() {
    let env = TestEnv::new();
    env.typed("concurrent --provider demo --tickers ACME --start 2025-01-06 --end 2025-01-10 --store demo").ok();
    let (_server, url) = serve(&env, "--store demo");
    let browser = Browser::start(1200, 800, false);
    browser.open(&url);
    browser.wait_for("document.body.innerText.includes('sessions complete')");
    assert_eq!(
        browser.value("document.getElementById('running').hidden"),
        true
    );
    let mut simulator = env
        .program("simulate --latency-ms 400".split_whitespace())
        .spawn();
    let address = {
        use std::io::BufRead;
        let out = simulator.child().stdout.as_mut().unwrap();
        std::io::BufReader::new(out)
            .lines()
            .next()
            .unwrap()
            .unwrap()
    };
    let words = "concurrent --tickers BOLT CRUX --start 2025-01-06 --end 2025-03-28 --store live --rate 6000 --threads 1";
    let run = (env.program(words.split_whitespace()))
        .env("FMP_API_KEY", "key")
        .env("FMP_BASE_URL", &address)
        .spawn();
    let (_live, url) = {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !env.path("live/staging.duckdb").exists() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        std::thread::sleep(std::time::Duration::from_millis(700));
        serve(&env, "--store live")
    };
    browser.open(&url);
    browser.wait_for("document.getElementById('running')?.hidden === false");
    browser.wait_for("/concurrent is running[^]*of [0-9]+ windows/.test(document.getElementById('running').innerText)");
    run.wait().ok();
    browser.wait_for("document.getElementById('running').hidden");
    browser.wait_for("document.body.innerText.includes('2\\nseries')");
    is_clean(&browser);
}

#[test]
#[ignore = "needs chromium: make test-page"]
fn zooming_in_fetches_finer_bars() {
    let env = TestEnv::new();
    env.typed(
        "specific --provider demo --tickers ACME --start 2024-01-02 --end 2024-12-31 --store demo",
    )
    .ok();
    let (_running, url) = serve(&env, "--store demo");
    let browser = Browser::start(1200, 800, false);
    browser.open(&url);
    browser.wait_for("document.querySelector('.map')");
    go(
        &browser,
        "#/chart/ACME?interval=1&from=2024-01-02&to=2024-12-31",
    );
    browser.wait_for("document.querySelector('.view')?.dataset.resolution === 'day'");
    browser.wait_for("document.querySelectorAll('.chart canvas').length > 3");
    for _ in 0..25 {
        browser.scroll(500, 400, -300);
    }
    browser.wait_for("Number(document.querySelector('.view').dataset.resolution) <= 60");
    is_clean(&browser);
}

#[test]
#[ignore = "needs chromium: make test-page"]
fn it_fits_a_phone_and_the_dark() {
    let env = filled();
    let url = report(&env);
    let browser = Browser::start(390, 800, true);
    for view in [
        "coverage",
        "chart/AAPL",
        "gaps",
        "conflicts",
        "runs",
        "targets",
    ] {
        browser.open("about:blank");
        browser.open(&format!("{url}#/{view}"));
        browser.wait_for(
            "document.querySelector('.view') && !document.body.innerText.includes('Loading')",
        );
        let fits = browser.value("document.documentElement.scrollWidth <= window.innerWidth");
        assert_eq!(fits, true, "{view} is wider than the window");
    }
    let ground = browser.value("getComputedStyle(document.body).backgroundColor");
    assert_eq!(ground, "rgb(20, 23, 28)");
    is_clean(&browser);
}

/// Writes the pictures of the README: `make screenshots`.
#[test]
#[ignore = "writes docs/screenshots: make screenshots"]
fn screenshots() {
    let Some(folder) = std::env::var_os("SCREENSHOTS") else {
        return;
    };
    let folder = Path::new(&folder);
    let env = TestEnv::new();
    prepare(&env);
    env.typed("report --to report.html").ok();
    let url = format!("file://{}", env.path("report.html").display());
    for (is_dark, suffix) in [(false, ""), (true, "-dark")] {
        let browser = Browser::start(1280, 760, is_dark);
        for (name, hash) in [
            ("coverage", "#/coverage"),
            (
                "chart",
                "#/chart/ACME?interval=1&from=2025-06-09&to=2025-06-20",
            ),
            ("gaps", "#/gaps"),
            ("conflicts", "#/conflicts"),
            ("runs", "#/runs"),
        ] {
            browser.open("about:blank");
            browser.open(&format!("{url}{hash}"));
            browser.wait_for(
                "document.querySelector('.view') && !document.body.innerText.includes('Loading')",
            );
            std::thread::sleep(std::time::Duration::from_millis(700));
            browser.screenshot(&folder.join(format!("{name}{suffix}.png")));
        }
    }
}

/// A store as people have it: most of it complete, some of it not.
fn prepare(env: &TestEnv) {
    let tickers = [
        "ACME", "BOLT", "CRUX", "DYNE", "ECHO", "FLUX", "GYRO", "HELM", "IONA", "JADE", "KILO",
        "LUMA", "MESA", "NOVA", "OPAL", "PIKE", "QUAD", "RUNE", "SOLO", "TIDE", "URSA", "VEGA",
    ];
    let start = |ticker: &str| match ticker {
        "HELM" => "2025-02-18",
        "RUNE" => "2025-04-21",
        _ => "2025-01-02",
    };
    let mut simulator = (env.program("simulate".split_whitespace())).spawn();
    let address = {
        use std::io::BufRead;
        let out = simulator.child().stdout.as_mut().unwrap();
        std::io::BufReader::new(out)
            .lines()
            .next()
            .unwrap()
            .unwrap()
    };
    for ticker in tickers {
        let from = start(ticker);
        let line = format!(
            "specific --tickers {ticker} --start {from} --end 2025-06-30 --rate 60000 --seal never"
        );
        (env.program(line.split_whitespace()))
            .env("FMP_API_KEY", "key")
            .env("FMP_BASE_URL", &address)
            .run()
            .ok();
    }
    for (ticker, from, to) in [
        ("BOLT", "2025-03-10", "2025-03-14"),
        ("ACME", "2025-06-13", "2025-06-13"),
        ("MESA", "2025-05-01", "2025-05-30"),
        ("SOLO", "2025-02-03", "2025-02-04"),
    ] {
        env.typed(&format!(
            "drop --tickers {ticker} --start {from} --end {to} --yes"
        ))
        .ok();
    }
    let exported = env
        .typed("export --to - --tickers ACME --start 2025-06-16 --end 2025-06-17")
        .ok();
    let mut offered = csv::Writer::from_writer(Vec::new());
    let mut reader = csv::Reader::from_reader(exported.out().as_bytes());
    offered.write_record(reader.headers().unwrap()).unwrap();
    for row in reader.records() {
        let row = row.unwrap();
        let quarter = |(index, value): (usize, &str)| match index {
            2..=5 => format!("{:.4}", value.parse::<f64>().unwrap() / 4.0),
            _ => value.to_owned(),
        };
        let row: Vec<String> = row.iter().enumerate().map(quarter).collect();
        offered.write_record(&row).unwrap();
    }
    env.write("ACME.csv", offered.into_inner().unwrap());
    env.typed("inject-csv ACME.csv --on-conflict ignore").ok();
    env.typed("seal").ok();
}
