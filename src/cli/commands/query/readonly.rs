//! Allows a single statement that only reads.
//!
//! The connection refuses the network and files outside the lake, but inside the lake's folder
//! DuckDB could write. So every statement goes through DuckDB's own parser before it runs.

use duckdb::Connection;
use serde_json::Value;

use super::tokens::tokens;

/// Table functions that only read. Others can change settings, write logs, or run SQL that wasn't
/// checked.
const TABLE_FUNCTIONS: [&str; 10] = [
    "generate_series",
    "glob",
    "query_table",
    "range",
    "read_parquet",
    "parquet_scan",
    "repeat",
    "repeat_row",
    "summary",
    "unnest",
];
/// Prefixes of more of them.
const TABLE_FUNCTION_PREFIXES: [&str; 3] = ["duckdb_", "pragma_", "parquet_"];
/// JSON functions that only read.
const JSON_FUNCTIONS: [&str; 2] = ["json_each", "json_tree"];

/// Why a statement isn't allowed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is no SQL to run")]
    Nothing,
    #[error("only one statement can be run at a time")]
    Several,
    #[error(
        "only statements that read can be run (SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, SHOW, EXPLAIN)"
    )]
    NotReading,
    #[error("the function {0} can't be used here")]
    Function(String),
    #[error("{0}")]
    Sql(String),
}

/// What is known of an allowed statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// The names of its tables and views, in lower case.
    pub tables: Vec<String>,
    /// The names that it gives to columns.
    pub aliases: Vec<String>,
    /// The statement to run in its place: a list of tables without those of the catalog.
    pub replaced_by: Option<&'static str>,
}

/// The statements that list tables, by their names in DuckDB's parser.
const LISTS: [(&str, &str); 2] = [
    (
        "\"tables\"",
        "SELECT view_name AS name FROM duckdb_views()
         WHERE database_name = 'temp' AND NOT internal ORDER BY name",
    ),
    (
        "__show_tables_expanded",
        "FROM (SHOW ALL TABLES) WHERE database = 'temp'",
    ),
];

/// Checks a statement without running it.
pub(super) fn check(connection: &Connection, sql: &str) -> Result<Allowed, Refusal> {
    check_tree(&parse(connection, sql)?)
}

/// The statements in `sql`, without an EXPLAIN in front, as a tree. All must be SELECTs.
pub(super) fn parse(connection: &Connection, sql: &str) -> Result<Value, Refusal> {
    let failed = |error: duckdb::Error| Refusal::Sql(error.to_string());
    let json: String = connection
        .query_row(
            "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR",
            [explained(sql).unwrap_or(sql)],
            |row| row.get(0),
        )
        .map_err(failed)?;
    let tree: Value =
        serde_json::from_str(&json).map_err(|error| Refusal::Sql(error.to_string()))?;
    if tree["error"] == Value::Bool(true) {
        return Err(match tree["error_type"].as_str() {
            Some("parser") => Refusal::Sql(
                tree["error_message"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            ),
            _ => Refusal::NotReading,
        });
    }
    Ok(tree)
}

/// Checks what [`parse`] returned.
pub(super) fn check_tree(tree: &Value) -> Result<Allowed, Refusal> {
    match tree["statements"].as_array().map_or(0, Vec::len) {
        0 => return Err(Refusal::Nothing),
        1 => {}
        _ => return Err(Refusal::Several),
    }
    let mut allowed = Allowed::default();
    walk(tree, &mut allowed)?;
    let from = &tree["statements"][0]["node"]["from_table"];
    if from["type"] == "SHOW_REF" && from["query"].is_null() {
        let list = LISTS.iter().find(|(name, _)| from["table_name"] == *name);
        allowed.replaced_by = list.map(|(_, sql)| *sql);
    }
    Ok(allowed)
}

/// The statement after EXPLAIN, if it begins with that.
pub(super) fn explained(sql: &str) -> Option<&str> {
    let tokens = tokens(sql);
    let mut end = tokens.first().filter(|first| first.is("explain"))?.end;
    let next = tokens.get(1)?;
    if next.is("analyze") {
        end = next.end;
    } else if next.is("(") && tokens.get(2)?.is("format") {
        let close = tokens.iter().skip(2).find(|token| token.is(")"));
        end = close?.end;
    }
    Some(&sql[end..])
}

fn walk(node: &Value, allowed: &mut Allowed) -> Result<(), Refusal> {
    match node {
        Value::Array(nodes) => nodes.iter().try_for_each(|node| walk(node, allowed)),
        Value::Object(fields) => {
            match fields.get("type").and_then(Value::as_str) {
                Some("TABLE_FUNCTION") => {
                    let name = fields
                        .get("function")
                        .and_then(|function| function["function_name"].as_str())
                        .unwrap_or_default()
                        .to_ascii_lowercase();
                    if !reads_only(&name) {
                        return Err(Refusal::Function(name));
                    }
                }
                Some("BASE_TABLE") => {
                    if let Some(name) = fields.get("table_name").and_then(Value::as_str) {
                        allowed.tables.push(name.to_ascii_lowercase());
                    }
                }
                _ => {}
            }
            if let Some(alias) = fields.get("alias").and_then(Value::as_str) {
                allowed.aliases.push(alias.to_owned());
            }
            fields.values().try_for_each(|node| walk(node, allowed))
        }
        _ => Ok(()),
    }
}

fn reads_only(function: &str) -> bool {
    TABLE_FUNCTIONS.contains(&function)
        || JSON_FUNCTIONS.contains(&function)
        || TABLE_FUNCTION_PREFIXES
            .iter()
            .any(|prefix| function.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(sql: &str) -> Result<Allowed, Refusal> {
        check(&Connection::open_in_memory().unwrap(), sql)
    }

    #[test]
    fn reading_statements_are_allowed() {
        for sql in [
            "select count(*) from bars",
            "FROM bars LIMIT 1",
            "with x as (select 1) select * from x;",
            "values (1)",
            "describe bars",
            "summarize bars",
            "show tables",
            "table bars",
            "explain select 1",
            "-- a note\nexplain (format json) select 1",
            "explain (select 1)",
            " EXPLAIN\n ANALYZE select 1",
            "pivot bars on ticker in ('007') using count(*)",
            "-- a note\nselect 'a;b'",
            "select * from range(3), unnest([1]), duckdb_settings()",
            "select * from bars asof join bars b using (timestamp)",
        ] {
            assert!(checked(sql).is_ok(), "{sql}: {:?}", checked(sql));
        }
        let allowed = checked("select * from Runs join bars on true").unwrap();
        assert_eq!(allowed.tables, ["runs", "bars"]);
    }

    #[test]
    fn all_others_are_refused() {
        for sql in [
            "copy bars to 'x.parquet'",
            "attach 'x.db'",
            "create table t(a int)",
            "create temp table t as select 1",
            "insert into bars values (1)",
            "delete from bars",
            "set threads = 1",
            "pragma version",
            "call pragma_version()",
            "install spatial",
            "load spatial",
            "export database 'x'",
            "import database 'x'",
            "begin",
            "vacuum",
            "checkpoint",
            "explain copy bars to 'x.parquet'",
            "explain analyze copy bars to 'x.parquet'",
            "explain explain select 1",
            "prepare p as select 1",
            "execute p",
            "use memory",
        ] {
            assert_eq!(checked(sql), Err(Refusal::NotReading), "{sql}");
        }
        for (sql, name) in [
            (
                "select * from enable_logging(storage := 'file')",
                "enable_logging",
            ),
            ("select * from query('select 1')", "query"),
            ("select (select count(*) from checkpoint())", "checkpoint"),
            ("with a as (from \"QUERY\"('select 1')) from a", "query"),
            (
                "select * from json_execute_serialized_sql('x')",
                "json_execute_serialized_sql",
            ),
            ("select * from read_csv('x.csv')", "read_csv"),
        ] {
            assert_eq!(checked(sql), Err(Refusal::Function(name.into())), "{sql}");
        }
        assert_eq!(checked("select 1; select 2"), Err(Refusal::Several));
        assert_eq!(checked(" ; "), Err(Refusal::Nothing));
        assert!(matches!(checked("selct 1"), Err(Refusal::Sql(why)) if why.contains("selct")));
    }
}
