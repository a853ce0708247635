//! Statements and transactions of the database, and the values of its `meta` table.

use duckdb::params;

use crate::store::error::Error;

use super::open::Catalog;

impl Catalog {
    /// The number of changes that this connection made.
    pub fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// Adds the database's path to an error of DuckDB.
    pub fn failed(&self, source: duckdb::Error) -> Error {
        Error::Catalog {
            path: self.path.clone(),
            source,
        }
    }

    /// Runs `work` in one transaction. Nothing is known to be durable unless this returns `Ok`.
    pub fn transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        self.changes.set(self.changes.get() + 1);
        self.run("BEGIN TRANSACTION")?;
        match work(self) {
            Ok(value) => {
                self.connection.execute_batch("COMMIT").map_err(|source| {
                    // A failed COMMIT may have ended the transaction: then this fails too.
                    let _ = self.connection.execute_batch("ROLLBACK");
                    Error::InDoubt {
                        path: self.path.clone(),
                        source,
                    }
                })?;
                // A failure loses nothing: the log has everything, and a broken database fails at
                // its next use.
                let _ = self.checkpoint(false);
                Ok(value)
            }
            Err(error) => {
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Runs statements without parameters.
    pub fn run(&self, sql: &str) -> Result<(), Error> {
        self.connection
            .execute_batch(sql)
            .map_err(|error| self.failed(error))
    }

    /// Runs one statement and returns how many rows it changed.
    pub fn execute(&self, sql: &str, parameters: impl duckdb::Params) -> Result<usize, Error> {
        self.changes.set(self.changes.get() + 1);
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(parameters))
            .map_err(|error| self.failed(error))
    }

    /// The rows of a query, each read by `read`.
    pub fn rows<T>(
        &self,
        sql: &str,
        parameters: impl duckdb::Params,
        read: impl FnMut(&duckdb::Row<'_>) -> duckdb::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|error| self.failed(error))?;
        let rows = statement
            .query_map(parameters, read)
            .map_err(|error| self.failed(error))?;
        rows.collect::<duckdb::Result<Vec<T>>>()
            .map_err(|error| self.failed(error))
    }

    /// A value of the `meta` table.
    pub fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        let found = self.rows(
            "SELECT value FROM meta WHERE key = ?",
            params![key],
            |row| row.get(0),
        )?;
        Ok(found.into_iter().next())
    }

    /// Sets a value of the `meta` table.
    pub fn set_meta(&self, key: &str, value: &str) -> Result<(), Error> {
        self.execute("DELETE FROM meta WHERE key = ?", params![key])?;
        self.execute("INSERT INTO meta VALUES (?, ?)", params![key, value])?;
        Ok(())
    }

    /// Whether the catalog has a table with this name.
    pub fn has_table(&self, name: &str) -> Result<bool, Error> {
        let tables = self.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_name = ?",
            [name],
            |row| row.get::<_, String>(0),
        )?;
        Ok(!tables.is_empty())
    }
}
