//! The files of the page, and the HTML that joins them.
//!
//! The page's scripts are modules, so that a type checker can read them. They are delivered as one
//! script, because a file on disk can't import another one: the modules in the order of
//! [`MODULES`], without their import lines and the word `export`. A test holds the conventions that
//! this needs.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The modules of the page, each after those that it imports.
pub(super) const MODULES: [(&str, &str); 14] = [
    ("text.js", include_str!("../../page/text.js")),
    ("dom.js", include_str!("../../page/dom.js")),
    ("runs.js", include_str!("../../page/runs.js")),
    ("data.js", include_str!("../../page/data.js")),
    ("route.js", include_str!("../../page/route.js")),
    ("coverage.js", include_str!("../../page/coverage.js")),
    ("chart.js", include_str!("../../page/chart.js")),
    ("gaps.js", include_str!("../../page/gaps.js")),
    ("conflicts.js", include_str!("../../page/conflicts.js")),
    ("findings.js", include_str!("../../page/findings.js")),
    ("comparison.js", include_str!("../../page/comparison.js")),
    ("history.js", include_str!("../../page/history.js")),
    ("targets.js", include_str!("../../page/targets.js")),
    ("main.js", include_str!("../../page/main.js")),
];

const TEMPLATE: &str = include_str!("../../page/index.html");
const STYLE: &str = include_str!("../../page/page.css");
const CHARTS: &str = include_str!("../../page/vendor/lightweight-charts.js");
/// Where the template has the style, and the scripts.
const STYLE_SLOT: &str = "<!--style-->";
const SCRIPTS_SLOT: &str = "<!--scripts-->";
/// What a report may load: what it has inside.
const REPORT_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A file of the page.
pub struct Asset {
    pub content_type: &'static str,
    pub body: Vec<u8>,
    /// The body, compressed.
    pub gzip: Vec<u8>,
    /// The quoted hash of the body.
    pub etag: String,
}

impl Asset {
    fn new(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory can't fail.
        let _ = gzip.write_all(&body);
        Self {
            content_type,
            gzip: gzip.finish().unwrap_or_default(),
            etag: format!("\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(&body)),
            body,
        }
    }
}

/// The file at a path of the server; `None` if there is none.
#[must_use]
pub fn asset(path: &str) -> Option<&'static Asset> {
    static INDEX: LazyLock<Asset> = LazyLock::new(|| {
        let style = "<link rel=\"stylesheet\" href=\"/assets/page.css\">";
        let scripts = "<script src=\"/assets/lightweight-charts.js\"></script>\n<script type=\"module\" src=\"/assets/page.js\"></script>";
        Asset::new("text/html; charset=utf-8", joined(style, scripts))
    });
    static PAGE: LazyLock<Asset> =
        LazyLock::new(|| Asset::new("text/javascript; charset=utf-8", script()));
    static STYLES: LazyLock<Asset> = LazyLock::new(|| Asset::new("text/css; charset=utf-8", STYLE));
    static CHART_LIBRARY: LazyLock<Asset> =
        LazyLock::new(|| Asset::new("text/javascript; charset=utf-8", CHARTS));
    match path {
        "/" => Some(&INDEX),
        "/assets/page.js" => Some(&PAGE),
        "/assets/page.css" => Some(&STYLES),
        "/assets/lightweight-charts.js" => Some(&CHART_LIBRARY),
        _ => None,
    }
}

/// The parts of a report before and after its data, which is base64.
pub(super) fn report_parts() -> [String; 2] {
    const DATA_SLOT: &str = "<!--data-->";
    let style = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{REPORT_POLICY}\">\n<style>\n{STYLE}</style>"
    );
    let scripts = format!(
        "<script type=\"text/plain\" id=\"data\">{DATA_SLOT}</script>\n<script>{}</script>\n<script type=\"module\">\n{}</script>",
        inline(CHARTS),
        inline(&script())
    );
    let whole = joined(&style, &scripts);
    let (before, after) = whole.split_once(DATA_SLOT).unwrap_or((&whole, ""));
    [before.to_owned(), after.to_owned()]
}

fn joined(style: &str, scripts: &str) -> String {
    TEMPLATE
        .replacen(STYLE_SLOT, style, 1)
        .replacen(SCRIPTS_SLOT, scripts, 1)
}

/// A script that can be inside HTML: nothing in it ends the element.
fn inline(script: &str) -> String {
    script.replace("</script", "<\\/script")
}

/// All modules as one script.
pub(super) fn script() -> String {
    let mut out = String::new();
    for (_, module) in MODULES {
        for line in module.lines().filter(|line| !line.starts_with("import ")) {
            out.push_str(line.strip_prefix("export ").unwrap_or(line));
            out.push('\n');
        }
    }
    out
}
