//! Opening the database, making it, and mending the tail of its log.

use std::path::{Path, PathBuf};

use duckdb::{AccessMode, Config, Connection, params};
use uuid::Uuid;

use crate::store::error::{Error, IoContext};
use crate::store::lake::SCHEMA_VERSION;
use crate::store::layout::Layout;

/// The open database.
pub(crate) struct Catalog {
    pub connection: Connection,
    path: PathBuf,
}

/// A database that was opened, and what was found on the way.
pub(crate) struct Opened {
    pub catalog: Catalog,
    pub store_id: Uuid,
    /// The log's tail was cut: what stood behind this byte is in quarantine.
    pub log_cut_at: Option<u64>,
}

impl Catalog {
    /// Opens the database for writing; makes it where there is none.
    pub fn open(layout: &Layout, memory_limit_mib: u64, threads: u16) -> Result<Opened, Error> {
        let path = layout.database();
        let fresh = !path.exists();
        let mut log_cut_at = None;
        let connection = match connect(&path, AccessMode::ReadWrite, memory_limit_mib, threads) {
            Ok(connection) => connection,
            Err(error) => {
                let Some(position) = corrupt_log_position(&error) else {
                    return Err(Error::Catalog {
                        path,
                        source: error,
                    });
                };
                cut_log(layout, position)?;
                log_cut_at = Some(position);
                connect(&path, AccessMode::ReadWrite, memory_limit_mib, threads).map_err(
                    |source| Error::Catalog {
                        path: path.clone(),
                        source,
                    },
                )?
            }
        };
        let catalog = Self { connection, path };
        // A kill between making the file and committing the schema leaves an empty database: that is fresh too.
        let store_id = if fresh || !catalog.has_schema()? {
            catalog.make()?
        } else {
            catalog.check_version(layout)?
        };
        catalog.run(crate::store::fills::TABLE)?;
        Ok(Opened {
            catalog,
            store_id,
            log_cut_at,
        })
    }

    /// Opens the database for reading beside other readers.
    pub fn open_read_only(
        layout: &Layout,
        memory_limit_mib: u64,
        threads: u16,
    ) -> Result<Opened, Error> {
        let path = layout.database();
        let connection =
            connect(&path, AccessMode::ReadOnly, memory_limit_mib, threads).map_err(|source| {
                Error::Catalog {
                    path: path.clone(),
                    source,
                }
            })?;
        let catalog = Self { connection, path };
        let store_id = catalog.check_version(layout)?;
        Ok(Opened {
            catalog,
            store_id,
            log_cut_at: None,
        })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// A second connection to the same open database, for reading beside the writer.
    pub fn second(&self) -> Result<Self, Error> {
        Ok(Self {
            connection: self
                .connection
                .try_clone()
                .map_err(|error| self.failed(error))?,
            path: self.path.clone(),
        })
    }

    /// Puts the database's path beside an error of DuckDB.
    pub fn failed(&self, source: duckdb::Error) -> Error {
        Error::Catalog {
            path: self.path.clone(),
            source,
        }
    }

    /// Runs `work` in one transaction. Only when this returns `Ok` is anything durable.
    pub fn transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        self.run("BEGIN TRANSACTION")?;
        match work(self).and_then(|value| self.run("COMMIT").map(|()| value)) {
            Ok(value) => Ok(value),
            Err(error) => {
                // A failed COMMIT has ended the transaction already; then this fails and says nothing new.
                drop(self.connection.execute_batch("ROLLBACK"));
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

    /// Runs one statement; tells how many rows it changed.
    pub fn execute(&self, sql: &str, parameters: impl duckdb::Params) -> Result<usize, Error> {
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

    fn has_schema(&self) -> Result<bool, Error> {
        let tables = self.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_name = 'meta'",
            [],
            |row| row.get::<_, String>(0),
        )?;
        Ok(!tables.is_empty())
    }

    fn make(&self) -> Result<Uuid, Error> {
        let store_id = Uuid::new_v4();
        self.transaction(|catalog| {
            catalog.run(include_str!("schema.sql"))?;
            catalog.set_meta("schema_version", &SCHEMA_VERSION.to_string())?;
            catalog.set_meta("store_id", &store_id.to_string())
        })?;
        Ok(store_id)
    }

    fn check_version(&self, layout: &Layout) -> Result<Uuid, Error> {
        let number = self
            .meta("schema_version")?
            .and_then(|text| text.parse::<u32>().ok());
        let found = number.unwrap_or(0);
        if found > SCHEMA_VERSION {
            return Err(Error::Newer {
                dir: layout.root().to_path_buf(),
                found,
                known: SCHEMA_VERSION,
            });
        }
        let id = self
            .meta("store_id")?
            .and_then(|text| Uuid::parse_str(&text).ok());
        id.ok_or_else(|| Error::Log {
            path: self.path.clone(),
            reason: "it names no store id".to_owned(),
        })
    }
}

fn connect(
    path: &Path,
    mode: AccessMode,
    memory_limit_mib: u64,
    threads: u16,
) -> duckdb::Result<Connection> {
    let config = Config::default()
        .access_mode(mode)?
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .with("preserve_insertion_order", "true")?
        .max_memory(&format!("{memory_limit_mib}MiB"))?
        .threads(i64::from(threads))?;
    let connection = Connection::open_with_flags(path, config)?;
    use_utc(&connection)?;
    Ok(connection)
}

/// Makes a connection show instants in UTC. A build with `bundled` has no ICU, and without it DuckDB knows UTC alone.
pub(crate) fn use_utc(connection: &Connection) -> duckdb::Result<()> {
    if cfg!(feature = "bundled") {
        return Ok(());
    }
    connection.execute_batch("SET TimeZone = 'UTC'")
}

/// Where DuckDB says that its log's checksum fails: the byte at which that entry starts.
fn corrupt_log_position(error: &duckdb::Error) -> Option<u64> {
    /// An entry's length and checksum stand before the place that DuckDB names.
    const ENTRY_HEADER_BYTES: u64 = 16;
    let text = error.to_string();
    let rest = text
        .split("Corrupt WAL file: entry at byte position ")
        .nth(1)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u64>().ok()?.checked_sub(ENTRY_HEADER_BYTES)
}

/// Puts copies of the database and its log into quarantine, then cuts the log at its last whole entry.
///
/// Only called while DuckDB has the file closed: closing a descriptor of ours would drop its lock otherwise.
#[allow(clippy::disallowed_methods)]
fn cut_log(layout: &Layout, position: u64) -> Result<(), Error> {
    let quarantine = layout.quarantine();
    std::fs::create_dir_all(&quarantine).at(&quarantine)?;
    let mark = Uuid::new_v4().simple().to_string();
    for source in [layout.database(), layout.database_log()] {
        let name = source
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let copy = quarantine.join(format!("{name}.{mark}"));
        std::fs::copy(&source, &copy).at(&copy)?;
        std::fs::File::open(&copy)
            .and_then(|file| file.sync_all())
            .at(&copy)?;
    }
    let log = layout.database_log();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&log)
        .at(&log)?;
    file.set_len(position).at(&log)?;
    file.sync_all().at(&log)
}
