//! PIVOT whose columns are the values that it finds.
//!
//! DuckDB turns such a statement into two: the first makes a type of the values. Only a single
//! SELECT can be checked, so the values are found here first, by a checked SELECT, and written into
//! the statement as `ON ticker IN ('AAPL', 'MSFT')`. Then it is a single SELECT, which is checked
//! like any other. The text is searched only for where to insert the values. If it is misread, the
//! statement doesn't pass the check or fails; nothing runs unchecked.

use duckdb::Connection;
use serde_json::Value;

use super::files::text as literal;
use super::readonly::{self, Refusal};
use super::tokens::{Token, tokens};

/// The most columns of one PIVOT.
pub(super) const VALUES_MAX: usize = 10_000;

/// Why the values weren't found.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(Refusal),
    Prepare(duckdb::Error),
    Run(duckdb::Error),
    NoValues,
    TooMany,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The statement with the values that its PIVOTs find, or `None` if it has no such PIVOT.
pub(super) fn with_values(connection: &Connection, sql: &str) -> Result<Option<String>, Failure> {
    let places = places(sql);
    if places.is_empty() {
        return Ok(None);
    }
    let marks: Vec<String> = (0..places.len()).map(mark).collect();
    let mut lists: Vec<String> = marks.iter().map(|mark| literal(mark)).collect();
    // A PIVOT may read another one, which comes before it in the text.
    for (index, mark) in marks.iter().enumerate() {
        let tree = readonly::parse(connection, &insert(sql, &places, &lists))?;
        readonly::check_tree(&tree)?;
        let Some(column) = find(&tree["statements"][0]["node"], mark, &[]) else {
            return Err(Refusal::NotReading.into());
        };
        lists[index] = values(connection, column)?;
    }
    Ok(Some(insert(sql, &places, &lists)))
}

/// Where each expression after ON that has no IN ends.
fn places(sql: &str) -> Vec<usize> {
    let tokens = tokens(sql);
    let mut places = Vec::new();
    for (index, pivot) in tokens.iter().enumerate() {
        if !(pivot.is("pivot") || pivot.is("pivot_wider")) {
            continue;
        }
        let ends = |token: &Token| {
            let words = [
                "using",
                "group",
                "order",
                "limit",
                "offset",
                "union",
                "except",
                "intersect",
                ";",
            ];
            token.depth < pivot.depth
                || (token.depth == pivot.depth && words.iter().any(|word| token.is(word)))
        };
        let clause = &tokens[index + 1..];
        let end = clause.iter().position(ends).unwrap_or(clause.len());
        let clause = &clause[..end];
        let on = |token: &Token| token.depth == pivot.depth && token.is("on");
        let Some(on) = clause.iter().rposition(on) else {
            continue;
        };
        let is_comma = |token: &Token| token.depth == pivot.depth && token.is(",");
        for expression in clause[on + 1..].split(is_comma) {
            let has_in = |token: &Token| token.depth == pivot.depth && token.is("in");
            if let Some(last) = expression.last()
                && !expression.iter().any(has_in)
            {
                places.push(last.end);
            }
        }
    }
    places.sort_unstable();
    places
}

/// The value that is written where the values aren't known yet.
fn mark(index: usize) -> String {
    format!("\u{1}values of pivot {index}")
}

fn insert(sql: &str, places: &[usize], lists: &[String]) -> String {
    let mut text = String::with_capacity(sql.len() + 64);
    let mut from = 0;
    for (place, list) in places.iter().zip(lists) {
        text.push_str(&sql[from..*place]);
        text.push_str(" IN (");
        text.push_str(list);
        text.push(')');
        from = *place;
    }
    text.push_str(&sql[from..]);
    text
}

/// What a PIVOT makes columns of: an expression over a source.
struct Column {
    expression: Value,
    source: Value,
    /// The common table expressions that the source may name.
    ctes: Vec<Value>,
}

/// The column whose only value is `mark`.
fn find(node: &Value, mark: &str, ctes: &[Value]) -> Option<Column> {
    match node {
        Value::Array(nodes) => nodes.iter().find_map(|node| find(node, mark, ctes)),
        Value::Object(fields) => {
            let mut ctes = ctes.to_vec();
            for cte in node["cte_map"]["map"].as_array().into_iter().flatten() {
                if let Some(column) = find(&cte["value"], mark, &ctes) {
                    return Some(column);
                }
                ctes.retain(|outer| outer["key"] != cte["key"]);
                ctes.push(cte.clone());
            }
            if fields.get("type").and_then(Value::as_str) == Some("PIVOT") {
                let pivots = node["pivots"].as_array().into_iter().flatten();
                let has_mark = |pivot: &&Value| {
                    pivot["entries"][0]["values"][0]["value"].as_str() == Some(mark)
                };
                if let Some(pivot) = pivots.clone().find(has_mark) {
                    let expression = pivot["pivot_expressions"].as_array()?;
                    let [expression] = &expression[..] else {
                        return None;
                    };
                    return Some(Column {
                        expression: expression.clone(),
                        source: node["source"].clone(),
                        ctes,
                    });
                }
            }
            let fields = fields.iter().filter(|(name, _)| *name != "cte_map");
            fields
                .map(|(_, node)| node)
                .find_map(|node| find(node, mark, &ctes))
        }
        _ => None,
    }
}

/// The values of a column as a list of literals.
fn values(connection: &Connection, column: Column) -> Result<String, Failure> {
    let mut tree = readonly::parse(connection, "SELECT DISTINCT v AS v FROM t")?;
    let node = &mut tree["statements"][0]["node"];
    let mut expression = column.expression;
    expression["alias"] = "v".into();
    node["select_list"][0] = expression;
    node["from_table"] = column.source;
    node["cte_map"]["map"] = Value::Array(column.ctes);
    let sql: Result<String, _> = connection.query_row(
        "SELECT json_deserialize_sql(?::JSON)",
        [tree.to_string()],
        |row| row.get(0),
    );
    let sql = sql.map_err(Failure::Run)?;
    let sql = format!(
        "SELECT v::VARCHAR FROM ({}) WHERE v IS NOT NULL ORDER BY v LIMIT {}",
        sql.trim_end_matches(';'),
        VALUES_MAX + 1
    );
    readonly::check(connection, &sql)?;
    let mut statement = connection.prepare(&sql).map_err(Failure::Prepare)?;
    let values = statement.query_map([], |row| row.get::<_, String>(0));
    let values = values.and_then(|values| values.collect::<Result<Vec<_>, _>>());
    let mut values = values.map_err(Failure::Run)?;
    values.dedup();
    match values.len() {
        0 => Err(Failure::NoValues),
        1..=VALUES_MAX => {
            let literals: Vec<String> = values.iter().map(|value| literal(value)).collect();
            Ok(literals.join(", "))
        }
        _ => Err(Failure::TooMany),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(sql: &str) -> String {
        let places = places(sql);
        insert(sql, &places, &vec!["?".to_owned(); places.len()])
    }

    #[test]
    fn values_go_after_each_expression_without_them() {
        for (sql, expected) in [
            ("pivot t on a", "pivot t on a IN (?)"),
            (
                "PIVOT t ON a, upper(b, c) /* on */ USING sum(x) GROUP BY k",
                "PIVOT t ON a IN (?), upper(b, c) IN (?) /* on */ USING sum(x) GROUP BY k",
            ),
            (
                "pivot (from t join u on true) on a in ('1'), b;",
                "pivot (from t join u on true) on a in ('1'), b IN (?);",
            ),
            (
                "pivot (pivot t on a) on b",
                "pivot (pivot t on a IN (?)) on b IN (?)",
            ),
            (
                "with p as (pivot t on a using max(x)) from p join q on p.x = q.x",
                "with p as (pivot t on a IN (?) using max(x)) from p join q on p.x = q.x",
            ),
            (
                "from (pivot_wider t on a || 'on')",
                "from (pivot_wider t on a || 'on' IN (?))",
            ),
            ("select 'pivot t on a'", "select 'pivot t on a'"),
            ("pivot t using sum(x)", "pivot t using sum(x)"),
            ("pivot", "pivot"),
        ] {
            assert_eq!(marked(sql), expected);
        }
    }

    #[test]
    fn the_values_are_those_that_duckdb_finds() {
        let connection = Connection::open_in_memory().unwrap();
        // With several threads, rows without an order come in any order and number of batches.
        connection
            .execute_batch(
                "set threads = 1;
                 create table t as select i, i % 3 as k, 'it''s ' || (i % 2) as s from range(12) r(i);
                 insert into t values (null, 1, null)",
            )
            .unwrap();
        for sql in [
            "pivot t on s using sum(i) group by k order by k",
            "pivot t on k, s using sum(i), count(*)",
            "with t as (select * from t where i < 5), u as (from t) pivot u on k + 1 using max(s)",
            "with p as (pivot t on s using sum(i) group by k) select * from p order by k",
            "from (pivot (pivot t on s using sum(i) group by k) on k using count(*))",
            "select count(*) from (pivot t on i % 4 using sum(i)) a join t on true",
        ] {
            let rows = |sql: &str| -> (Vec<String>, Vec<String>) {
                let mut statement = connection.prepare(sql).unwrap();
                let batches: Vec<_> = statement.query_arrow([]).unwrap().collect();
                let names = batches[0].schema();
                let names = names.fields().iter().map(|field| field.name().clone());
                (
                    names.collect(),
                    batches.iter().map(|batch| format!("{batch:?}")).collect(),
                )
            };
            let expanded = with_values(&connection, sql).unwrap().unwrap();
            assert_eq!(rows(&expanded), rows(sql), "{sql}\n{expanded}");
        }
    }

    #[test]
    fn the_source_is_checked_before_it_is_read() {
        let connection = Connection::open_in_memory().unwrap();
        for sql in [
            "pivot read_csv('/etc/passwd') on column0",
            "pivot (from read_csv('/etc/passwd')) on column0 using count(*)",
            "with a as (from read_csv('/etc/passwd')) pivot a on column0",
            "pivot (select 1 as a, 2 as b) on (select max(column0) from read_csv('/etc/passwd'))",
            "pivot (select 1 as a) on a; from read_csv('/etc/passwd')",
        ] {
            let refused = with_values(&connection, sql);
            assert!(matches!(refused, Err(Failure::Refused(_))), "{sql}");
        }
    }
}
