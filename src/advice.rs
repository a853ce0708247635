//! What a user can do about an error or a refusal.
//!
//! **The modules decide what can be done; only `cli/advice.rs` words it**, because only the command
//! line knows its options. `Advice` prints as those words.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::model::{DateRange, Provenance, SeriesKey, Source};

/// An error or refusal that can come with advice.
pub trait Hint {
    /// What the user can do about it, if anything.
    fn hint(&self) -> Option<Advice>;
}

/// What the user can do. A variant for everything that names a command or an option.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Words that name no command and no option, such as SQL or a setting of a server.
    Words(Cow<'static, str>),
    /// There is no store here: name another folder, or create a store.
    NameStore,
    /// There is no store to compare with in the named folder.
    NameSecondStore,
    NameStoreFolder,
    /// The bars are in another store.
    NameOtherStore {
        store: PathBuf,
    },
    /// Wait for the end of another writer.
    WaitForWriter,
    /// Check the whole store.
    VerifyStore,
    RepairStore,
    /// Name a commit instead of a time.
    NameCommit {
        /// The newest commit before a run; `None` if the run made the first one.
        before: Option<u64>,
        /// The run's last commit.
        after: u64,
    },
    /// Leave out tickers whose bars aren't known.
    LeaveOutTickers,
    /// Skip what is stored, or choose a policy for conflicts.
    OnConflict {
        /// Whether coverage shows all of the refused batch as answered, so that a resumed run
        /// leaves it out.
        can_resume: bool,
    },
    /// Bars can't join a series with other provenance.
    OtherProvenance {
        /// Whether the exchanges differ; else price basis or hours do.
        is_exchange: bool,
    },
    /// Request all of a series again.
    FetchAgain(Box<FetchAgain>),
    /// Continue a run that a quota ended.
    Continue {
        /// What continues it.
        with: Continuation,
        /// Requests that it will send.
        requests: u64,
        /// Tickers of which nothing was requested.
        tickers_not_started: usize,
    },
    /// Continue a run that Ctrl-C ended.
    ContinueStopped(Continuation),
    /// No ticker had data: check what was requested.
    CheckRange,
    /// Set a provider's key.
    SetKey {
        /// The environment variables with its parts, if they are known.
        variables: Option<Cow<'static, str>>,
    },
    /// The key's plan doesn't include bars of this interval.
    LargerPlan,
    /// Continue a run when the quota allows.
    ResumeLater {
        /// Whether a lower rate helps.
        lower_rate: bool,
    },
    /// Continue a run when a quota that counts the last days allows.
    ResumeWithinDays {
        /// How many days it counts.
        counted: u32,
    },
    /// Request what failed again.
    ResumeFailed,
    /// The provider can't be reached.
    CheckConnection,
    /// The certificate of the provider's server isn't trusted.
    CheckCertificate,
    /// Most rows of a response aren't bars.
    CheckRejects,
    /// Name the columns of a file that aren't known.
    NameColumns {
        example: String,
    },
    /// Skip lines of a file, or name its columns and times.
    SkipLines,
    /// Name the column of one value.
    MapColumn {
        /// The value.
        column: &'static str,
        /// The number of the column that may have it, from 1.
        at: Option<usize>,
    },
    /// Set the length of a file's bars.
    SetInterval {
        /// In minutes, as the bars show.
        likely: Option<u16>,
    },
    /// Set the time zone of a file.
    SetTimezone {
        /// The zone in which the bars fit the exchange's hours.
        likely: Option<&'static str>,
    },
    /// Set the exchange of a file to this one.
    SetExchange {
        code: &'static str,
    },
    /// Set the exchange of a file, or the time zone.
    SetExchangeOrTimezone {
        /// The zone in which the bars fit the exchange's sessions.
        likely: Option<&'static str>,
    },
    /// Set that timestamps are closes.
    SetLabelClose,
    /// Set the ticker of a file.
    SetTicker,
    /// Inject a file in a run without those that it contradicts.
    InjectApart,
    /// A file has several tickers: read only some of them.
    SelectTickers,
    /// Set the order of day, month and year in a file.
    SetDateOrder {
        /// Whether rows in another order become rejects, instead of an ambiguous file.
        for_rejects: bool,
    },
    /// Set the decimal mark of a file.
    SetDecimal {
        /// Whether rows in another form become rejects, instead of an ambiguous file.
        for_rejects: bool,
    },
    /// Read dates month first that were read day first.
    ReadMonthFirst,
    /// Accept a last line without a line end.
    AcceptLastLine,
    /// Split a bundle into several.
    SplitBundle,
    /// Make a bundle without a base.
    FullBundle,
    /// Use a base's own filter.
    BaseFilter,
    /// Check whether a file is the one that was made.
    CompareHash,
    /// Apply a bundle that is older than the last one.
    ApplyOlder,
    /// Let the page's server accept a host name.
    AllowHost,
    /// Start the page's server with a second store.
    CompareStores,
    /// Open the page by the link that its server printed.
    OpenPrintedLink,
    /// About a sync.
    Sync(SyncAdvice),
    /// About a push.
    Push(PushAdvice),
}

/// What the user can do about a push.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PushAdvice {
    /// Push demo bars anyway.
    AllowDemo,
    /// Send keys without encryption anyway.
    AllowHttp,
    SetCredentials,
    CheckCredentials,
    CheckEndpoint,
    /// The storage must support writes that create an object only if it doesn't exist.
    ConditionalWrites,
    /// Name the address of another table.
    OtherTable,
    /// Choose a policy for partitions that others have written.
    TableConflict,
    /// Only one copy of a store can push at a time.
    PushOneCopy,
    /// Compare all files of the table.
    Full,
    /// A partition has too many files: another program can join them.
    Compact,
    /// Replace rows of the table that this run left with other values.
    ReplaceKept {
        rows: u64,
    },
}

/// What the user can do about a sync.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SyncAdvice {
    /// Sync demo bars anyway.
    AllowDemo,
    /// Choose the bars of one interval for a table.
    ChooseInterval,
    /// Only one copy of a store can sync at a time.
    SyncOneCopy,
    /// Choose a policy for rows that have other values in a target.
    TargetConflict,
    /// Replace rows of a target that this run left with other values.
    ReplaceKept { rows: u64 },
    /// Replace rows of a target that earlier runs left with other values.
    ReplaceKeptBefore {
        rows: u64,
        /// The first series that has such rows.
        series: SeriesKey,
        /// How many more series have some.
        more_series: usize,
    },
    /// Round volumes for a column of whole numbers.
    RoundVolume,
    /// Wait longer for a database.
    WaitLonger,
    /// Use fewer connections to a database.
    FewerConnections,
    /// Name a database.
    NameDatabase,
    /// Choose a table in another schema.
    OtherSchema,
    /// Name the zone of the times in a table.
    NameZone,
    /// A table's times are in another zone than requested.
    RecordedZone { zone: String },
    /// Create a table.
    CreateTable {
        /// The statement that creates it.
        sql: String,
    },
}

/// All of a series, to be requested again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchAgain {
    /// The store's folder.
    pub store: PathBuf,
    pub series: SeriesKey,
    /// The provenance under which it is stored.
    pub provenance: Provenance,
    /// The provider.
    pub source: Source,
    /// From the first to the last date that is stored or was requested.
    pub dates: DateRange,
}

/// What continues a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Continuation {
    /// The same command with `--resume`.
    Resume,
    SameCommand,
}

impl From<SyncAdvice> for Advice {
    fn from(advice: SyncAdvice) -> Self {
        Self::Sync(advice)
    }
}

impl From<PushAdvice> for Advice {
    fn from(advice: PushAdvice) -> Self {
        Self::Push(advice)
    }
}

impl From<&'static str> for Advice {
    fn from(words: &'static str) -> Self {
        Self::Words(Cow::Borrowed(words))
    }
}

impl From<String> for Advice {
    fn from(words: String) -> Self {
        Self::Words(Cow::Owned(words))
    }
}
