//! The table's columns: those of a partition's file, and the partition columns.

use serde_json::{Value, json};

use crate::model::columns::{COLUMNS, Kind};

/// The columns that the folders have, and the files don't.
pub const PARTITION_COLUMNS: [&str; 3] = ["interval", "ticker", "year"];

/// Names and types of all columns.
fn columns() -> Vec<(&'static str, &'static str)> {
    let mut columns = vec![("timestamp", "timestamp")];
    columns.extend(COLUMNS.iter().map(|column| match column.kind {
        Kind::Double => (column.name, "double"),
        Kind::Integer => (column.name, "long"),
    }));
    columns.extend([("source", "string"), ("commit_seq", "long")]);
    columns.extend([
        ("interval", "string"),
        ("ticker", "string"),
        ("year", "integer"),
    ]);
    columns
}

/// The schema of a new table.
#[must_use]
pub fn schema_string() -> String {
    let field = |(name, kind): (&str, &str)| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
    let fields: Vec<Value> = columns().into_iter().map(field).collect();
    json!({"type": "struct", "fields": fields}).to_string()
}

/// Checks that a table has these columns and no others; else returns why not.
pub fn check(schema_string: &str, partition_columns: &[String]) -> Result<(), String> {
    if partition_columns != PARTITION_COLUMNS {
        return Err(format!(
            "it is partitioned by {}, and bars are by {}",
            list(partition_columns),
            list(&PARTITION_COLUMNS)
        ));
    }
    let schema: Value = serde_json::from_str(schema_string)
        .map_err(|error| format!("its schema can't be read: {error}"))?;
    let fields = schema["fields"].as_array().map_or(&[][..], Vec::as_slice);
    for (name, kind) in columns() {
        let Some(field) = fields.iter().find(|field| field["name"] == name) else {
            return Err(format!("it has no column {name}"));
        };
        if field["type"] != kind {
            return Err(format!("its column {name} isn't of type {kind}"));
        }
        if field["metadata"].get("delta.invariants").is_some() {
            return Err(format!("its column {name} has an invariant"));
        }
    }
    let own = columns();
    let extra = fields
        .iter()
        .filter_map(|field| field["name"].as_str())
        .find(|name| own.iter().all(|(own, _)| own != name));
    match extra {
        Some(name) => Err(format!("it has the column {name}, which bars don't have")),
        None => Ok(()),
    }
}

fn list(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_schema_is_accepted() {
        let own = PARTITION_COLUMNS.map(str::to_owned);
        let schema = schema_string();
        assert_eq!(check(&schema, &own), Ok(()));
        for (from, to, why) in [
            ("\"vwap\"", "\"vw\"", "no column vwap"),
            (
                "\"type\":\"timestamp\"",
                "\"type\":\"date\"",
                "column timestamp isn't of type timestamp",
            ),
            ("[{", "[{\"name\":\"x\"},{", "has the column x"),
        ] {
            let other = schema.replacen(from, to, 1);
            assert_ne!(other, schema);
            let refused = check(&other, &own).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(check(&schema, &own[..2]).is_err());
        assert!(check("{", &own).is_err());
    }
}
