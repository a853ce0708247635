//! The parts of the page that need no store.

use std::collections::BTreeMap;

use super::coverage::Runs;
use super::html::{MODULES, report_parts, script};
use super::without_folders;

/// The name that a line of a module declares at the top level.
fn declared(line: &str) -> Option<&str> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let words = ["function ", "const ", "let ", "class "];
    let rest = words.iter().find_map(|word| line.strip_prefix(word))?;
    rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()
}

/// Modules are joined without their imports, so a name must be declared once, before it is used at
/// the top level, and an import must not rename.
#[test]
fn modules_can_be_joined() {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (file, text) in MODULES {
        for line in text.lines() {
            if let Some(import) = line.strip_prefix("import ") {
                let (imported, from) = import.split_once(" from ").unwrap();
                let from = from.trim_matches(|letter| "\";".contains(letter));
                let from = from.trim_start_matches("./");
                let imported = imported.trim_matches(|letter| "{} ".contains(letter));
                for name in imported.split(", ") {
                    assert_eq!(names.get(name), Some(&from), "{file} imports {name}");
                }
            }
            assert!(!line.starts_with("export default") && !line.starts_with("export {"));
        }
        let own = file;
        for name in text.lines().filter_map(declared) {
            let other = names.insert(name, own);
            assert_eq!(other, None, "{name} is declared in {file} too");
        }
    }
    let joined = script();
    assert!(!joined.contains("\nimport ") && !joined.contains("\nexport "));
    let lines: usize = MODULES.iter().map(|(_, text)| text.lines().count()).sum();
    assert!(lines < 2_000, "{lines} lines");
}

#[test]
fn the_scripts_of_a_report_end_where_they_should() {
    let [before, after] = report_parts();
    assert_eq!((before.clone() + &after).matches("</script>").count(), 3);
    assert!(before.ends_with("id=\"data\">"));
    assert!(after.contains("TradingView"), "its maker is named");
}

#[test]
fn repeated_values_are_counted() {
    let text = |values: &[u32]| {
        let mut runs = Runs::new();
        values.iter().for_each(|value| runs.push(*value));
        runs.finish()
    };
    assert_eq!(text(&[]), "");
    assert_eq!(text(&[390]), "390");
    assert_eq!(text(&[390, 390, 300, 390]), "390*2,300,390");
}

#[test]
fn folders_are_taken_out_of_texts() {
    for (text, shown) in [
        (
            "cannot open /home/anna/dump/AAPL.csv: no such file",
            "cannot open AAPL.csv: no such file",
        ),
        ("\"/data/x.csv\" line 3", "\"x.csv\" line 3"),
        (r"C:\dumps\AAPL.csv is empty", "AAPL.csv is empty"),
        ("dump/AAPL.csv and EUR/USD", "dump/AAPL.csv and EUR/USD"),
        ("https://example.com/a/b", "https://example.com/a/b"),
        ("~/dump/a.csv\tx", "a.csv\tx"),
    ] {
        assert_eq!(without_folders(text), shown);
    }
}
