//! Opening the database, and making it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckdb::{AccessMode, Config, Connection};
use uuid::Uuid;

use crate::store::columns::sql_definitions;
use crate::store::error::{Error, IoContext};
use crate::store::layout::Layout;
use crate::store::spill::Spill;
use crate::store::{durable, folder, quarantine, segment};

use super::log::MendedLog;
use super::{log, schema, undo};

/// The key of the store's format in the `meta` table.
const FORMAT: &str = "schema_version";

/// The open database.
pub(crate) struct Catalog {
    pub connection: Connection,
    pub(super) path: PathBuf,
    /// DuckDB's temporary files. None are written without it.
    spill: Option<Arc<Spill>>,
    /// The file itself, if this process writes. It is closed after DuckDB has closed it.
    pub(super) file: Option<Arc<File>>,
    /// Statements that this connection ran and that may have changed something.
    pub(super) changes: Cell<u64>,
    /// Whether the hot tier has segments.
    pub(super) any_segments: Cell<bool>,
    /// Footers of segments whose bytes were compared with their checksum by this process.
    pub(super) checked_segments: RefCell<BTreeMap<String, segment::Footer>>,
}

/// A database that was opened, and what was found on the way.
pub(crate) struct Opened {
    pub catalog: Catalog,
    pub store_id: Uuid,
    /// What was cut off its log.
    pub log: Option<MendedLog>,
}

impl Catalog {
    /// Opens the database for writing, and makes it if there is none. Undoes an interrupted checkpoint,
    /// and cuts the log after its last whole transaction.
    pub fn open(layout: &Layout, memory_limit_mib: u64, threads: u16) -> Result<Opened, Error> {
        let path = layout.database();
        if path.exists() {
            undo::undo(layout)?;
        } else {
            Self::make_new(layout, memory_limit_mib, threads)?;
        }
        let log = log::mend(layout)?;
        let file = undo::hold(&path).at(&path)?;
        let failed = |source| Error::Catalog {
            path: path.clone(),
            source,
        };
        let spill = Spill::of_catalog(layout);
        let mode = AccessMode::ReadWrite;
        let connection =
            connect(&path, mode, memory_limit_mib, threads, spill.as_ref()).map_err(failed)?;
        check_duckdb(&connection)?;
        // Checkpoints are our own: see checkpoint.rs.
        connection
            .execute_batch(
                "SET checkpoint_threshold = '1TB'; PRAGMA disable_checkpoint_on_shutdown",
            )
            .map_err(failed)?;
        let catalog = Self::of(connection, path, spill.map(Arc::new), Some(Arc::new(file)));
        // Earlier versions could be killed between making the file and committing the schema.
        let store_id = if catalog.has_table("meta")? {
            catalog.check_version(layout)?
        } else {
            catalog.make()?
        };
        catalog.run(schema::FILLS)?;
        catalog.run(schema::REJECTED)?;
        catalog.run(schema::SEGMENTS)?;
        catalog.upgrade()?;
        catalog.look_for_segments()?;
        Ok(Opened {
            catalog,
            store_id,
            log,
        })
    }

    fn of(
        connection: Connection,
        path: PathBuf,
        spill: Option<Arc<Spill>>,
        file: Option<Arc<File>>,
    ) -> Self {
        Self {
            connection,
            path,
            spill,
            file,
            changes: Cell::new(0),
            any_segments: Cell::new(false),
            checked_segments: RefCell::default(),
        }
    }

    /// Makes the database in `tmp/` and renames it, so a kill leaves no half of it.
    fn make_new(layout: &Layout, memory_limit_mib: u64, threads: u16) -> Result<(), Error> {
        // The log of an earlier database isn't valid for this one.
        for stale in layout
            .database_logs()
            .iter()
            .chain([&layout.database_undo()])
        {
            if stale.exists() {
                quarantine::move_aside(layout, stale)?;
            }
        }
        let tmp = layout.tmp();
        durable::create_dirs(layout.root(), &tmp).at(&tmp)?;
        let path = tmp.join(format!("{}.duckdb", Uuid::new_v4().simple()));
        let connection = connect(
            &path,
            AccessMode::ReadWrite,
            memory_limit_mib,
            threads,
            None,
        )
        .map_err(|source| Error::Catalog {
            path: path.clone(),
            source,
        })?;
        let catalog = Self::of(connection, path, None, None);
        catalog.make()?;
        catalog.run("CHECKPOINT")?;
        let Self {
            connection, path, ..
        } = catalog;
        drop(connection);
        crate::crash_point!("catalog.before-rename");
        let target = layout.database();
        durable::rename(&path, &target).at(&target)?;
        durable::sync_dir(layout.root()).at(layout.root())
    }

    /// Opens the database for reading; other processes may read it too.
    pub fn open_read_only(
        layout: &Layout,
        memory_limit_mib: u64,
        threads: u16,
    ) -> Result<Opened, Error> {
        let path = layout.database();
        let spill = Spill::of_catalog(layout);
        let mode = AccessMode::ReadOnly;
        let connection =
            connect(&path, mode, memory_limit_mib, threads, spill.as_ref()).map_err(|source| {
                Error::Catalog {
                    path: path.clone(),
                    source,
                }
            })?;
        let catalog = Self::of(connection, path, spill.map(Arc::new), None);
        let store_id = catalog.check_version(layout)?;
        catalog.look_for_segments()?;
        Ok(Opened {
            catalog,
            store_id,
            log: None,
        })
    }

    /// Reads every value, and with that every checksum of DuckDB.
    pub fn read_whole(&self) -> Result<(), Error> {
        let tables = self.rows(
            "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary ORDER BY ALL",
            [],
            |row| row.get::<_, String>(0),
        )?;
        for table in tables {
            self.rows(
                &format!("SELECT bit_xor(hash(t))::VARCHAR FROM {table} t"),
                [],
                |row| row.get::<_, Option<String>>(0),
            )?;
        }
        Ok(())
    }

    /// Whether only a writer can open it: a checkpoint was cut off, or the log's tail is not whole.
    pub fn needs_mending(layout: &Layout) -> bool {
        layout.database_undo().exists() || log::needs_mending(layout)
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// The folder of DuckDB's temporary files, if there is one.
    pub fn spill(&self) -> Option<Arc<Spill>> {
        self.spill.clone()
    }

    /// A second connection to the same open database, for reading while the first one writes.
    pub fn second(&self) -> Result<Self, Error> {
        let connection = (self.connection.try_clone()).map_err(|error| self.failed(error))?;
        let second = Self::of(
            connection,
            self.path.clone(),
            self.spill.clone(),
            self.file.clone(),
        );
        second.any_segments.set(self.any_segments.get());
        *second.checked_segments.borrow_mut() = self.checked_segments.borrow().clone();
        Ok(second)
    }

    /// Copies the database and its log, as they are between two transactions, into the layout of a
    /// snapshot. The database is read through the descriptor that was opened before DuckDB opened
    /// it.
    pub fn copy_to(&self, to: &Layout) -> Result<(), Error> {
        let Some(mut database) = self.file.as_deref() else {
            return Ok(());
        };
        let path = to.database();
        let mut copy = || {
            let mut copy = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)?;
            database.seek(SeekFrom::Start(0))?;
            io::copy(&mut database, &mut copy)
        };
        copy().at(&path)?;
        let (log, path) = (Layout::new(self.root()).database_log(), to.database_log());
        match std::fs::copy(log, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            copied => copied.map(drop).at(&path),
        }
    }

    fn make(&self) -> Result<Uuid, Error> {
        let store_id = Uuid::new_v4();
        self.transaction(|catalog| {
            let tables = schema::TABLES
                .replace("$bars", &sql_definitions("", true))
                .replace("$staged", &sql_definitions("staged_", false))
                .replace("$offered", &sql_definitions("offered_", false));
            catalog.run(&tables)?;
            catalog.set_meta(FORMAT, &schema::FORMAT.to_string())?;
            catalog.begin_history()?;
            catalog.set_meta("store_id", &store_id.to_string())
        })?;
        Ok(store_id)
    }

    /// The store's format.
    fn format(&self) -> Result<u32, Error> {
        let number = self.meta(FORMAT)?;
        Ok(number.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Raises the format of an older store. Its history is known from now on.
    fn upgrade(&self) -> Result<(), Error> {
        if self.format()? >= schema::FORMAT {
            return Ok(());
        }
        self.transaction(|catalog| {
            catalog.run(schema::CONFLICT_COMMITS)?;
            catalog.begin_history()?;
            catalog.set_meta(FORMAT, &schema::FORMAT.to_string())?;
            crate::crash_point!("upgrade.before-commit");
            Ok(())
        })?;
        crate::crash_point!("upgrade.after-commit");
        Ok(())
    }

    fn check_version(&self, layout: &Layout) -> Result<Uuid, Error> {
        let found = self.format()?;
        if found > schema::FORMAT {
            return Err(Error::Newer {
                dir: layout.root().to_path_buf(),
                found,
                known: schema::FORMAT,
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
    spill: Option<&Spill>,
) -> duckdb::Result<Connection> {
    // By default DuckDB's temporary files are next to the database, for every user to read.
    let temporary = spill.map(|spill| folder::real(spill.path()).display().to_string());
    let config = Config::default()
        .with("temp_directory", temporary.unwrap_or_default())?
        .access_mode(mode)?
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .with("preserve_insertion_order", "true")?
        .max_memory(&format!("{memory_limit_mib}MiB"))?
        // What its allocator keeps of freed memory counts as ours: by default up to 128 MiB.
        .with(
            "allocator_flush_threshold",
            format!("{}MiB", (memory_limit_mib / 8).max(1)),
        )?
        .threads(i64::from(threads))?;
    // DuckDB names the database after the file, which may be a link: only its folder is resolved.
    let path = match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) => folder::real(dir).join(name),
        _ => folder::real(path),
    };
    let connection = Connection::open_with_flags(path, config)?;
    use_utc(&connection)?;
    Ok(connection)
}

/// Refuses a DuckDB whose files this program doesn't know: after a kill it could damage them.
fn check_duckdb(connection: &Connection) -> Result<(), Error> {
    let version = connection
        .version()
        .unwrap_or_else(|error| error.to_string());
    if log::KNOWN_VERSIONS.contains(&version.as_str()) {
        Ok(())
    } else {
        Err(Error::UnknownDuckDb { version })
    }
}

/// Makes a connection show instants in UTC. A build with `bundled` has no ICU, and without it DuckDB knows UTC alone.
pub(crate) fn use_utc(connection: &Connection) -> duckdb::Result<()> {
    if cfg!(feature = "bundled") {
        return Ok(());
    }
    connection.execute_batch("SET TimeZone = 'UTC'")
}
