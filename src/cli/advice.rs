//! The words for what a user can do. No other module writes commands and options into its messages.

use std::fmt;

use crate::advice::{Advice, Continuation, FetchAgain, PushAdvice, SyncAdvice};
use crate::model::{Basis, Hours};

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Words(words) => words,
            Self::NameStore => {
                "--store names another folder; inject-csv, specific and concurrent create a store"
            }
            Self::NameSecondStore => {
                "name the folder of the second store, as --store does for the first"
            }
            Self::NameStoreFolder => "--store names the folder of a store",
            Self::NameOtherStore { store } => {
                return write!(
                    f,
                    "--store {} names the store that is there; inject-csv, specific and concurrent create a store",
                    store.display()
                );
            }
            Self::WaitForWriter => "--wait SECONDS waits for its end",
            Self::VerifyStore => "`backfill verify` checks the whole store",
            Self::RepairStore => {
                "`backfill verify --repair` lists what is lost and repairs the rest"
            }
            Self::NameCommit { before, after } => {
                if let Some(before) = before {
                    write!(f, "--as-of {before} is the store before that run, ")?;
                }
                return write!(f, "--as-of {after} is the store after it");
            }
            Self::LeaveOutTickers => "--tickers with the other tickers leaves them out",
            Self::OnConflict { can_resume } => {
                if *can_resume {
                    f.write_str("--resume skips what is stored; ")?;
                }
                "--on-conflict ignore keeps the stored bars and continues, --on-conflict update replaces them"
            }
            Self::OtherProvenance { is_exchange } => {
                f.write_str(match is_exchange {
                    true => "--exchange sets the exchange of files and downloads; ",
                    false => "--unadjusted and --extended-hours set what a download requests; ",
                })?;
                "`backfill drop` removes the stored bars of the series, another --store keeps both"
            }
            Self::FetchAgain(again) => return again.fmt(f),
            Self::Continue {
                with,
                requests,
                tickers_not_started,
            } => {
                let with = match with {
                    Continuation::Resume => "--resume",
                    Continuation::SameCommand => "the same command",
                };
                write!(
                    f,
                    "{with} continues where this run stopped, and will send {requests} requests"
                )?;
                return match tickers_not_started {
                    0 => Ok(()),
                    1 => f.write_str("; 1 ticker was not started"),
                    count => write!(f, "; {count} tickers were not started"),
                };
            }
            Self::ContinueStopped(Continuation::Resume) => {
                "--resume continues where this run stopped"
            }
            Self::ContinueStopped(Continuation::SameCommand) => {
                "the same command continues where this run stopped"
            }
            Self::CheckRange => {
                "no ticker had any data: check --interval, --start and --end, and what your plan with the provider covers"
            }
            Self::SetKey { variables: None } => {
                "check the provider's key; `--provider demo` needs none"
            }
            Self::SetKey {
                variables: Some(names),
            } => {
                return write!(
                    f,
                    "set {names} in the environment or in .env; `--provider demo` needs none"
                );
            }
            Self::LargerPlan => {
                "intraday bars need a larger plan; `backfill check` shows what yours allows"
            }
            Self::ResumeLater { lower_rate: false } => "--resume continues when the quota allows",
            Self::ResumeLater { lower_rate: true } => {
                "--resume continues when the quota allows; a lower --rate spends less of it"
            }
            Self::ResumeWithinDays { counted } => {
                return write!(
                    f,
                    "the quota counts the last {counted} days; --resume continues when it allows"
                );
            }
            Self::ResumeFailed => "--resume requests again what failed",
            Self::CheckConnection => {
                "check the network and --provider-url, then continue with --resume"
            }
            Self::CheckCertificate => {
                "check the clock and --provider-url; SSL_CERT_FILE=FILE.pem names the certificates to trust instead of the system's"
            }
            Self::CheckRejects => {
                "look at the rows in the rejects file; --resume requests again what failed"
            }
            Self::NameColumns { example } => {
                return write!(
                    f,
                    "--columns sets which they are, for example --columns {example}"
                );
            }
            Self::SkipLines => {
                "--skip-lines N skips lines above the header, --time-format sets how times are written, \
                 --columns which column is which"
            }
            Self::MapColumn { column, at: None } => {
                return write!(f, "--columns {column}=HEADER names another column");
            }
            Self::MapColumn {
                column,
                at: Some(at),
            } => return write!(f, "--columns {column}={at} reads it"),
            Self::SetTimezone { likely: None } => "--timezone ZONE sets the time zone",
            Self::SetTimezone { likely: Some(zone) } => {
                return write!(
                    f,
                    "with --timezone {zone} its weeks begin when the exchange opens"
                );
            }
            Self::SetExchange { code } => return write!(f, "--exchange {code} sets the exchange"),
            Self::SetExchangeOrTimezone { likely: Some(zone) } => {
                return write!(
                    f,
                    "with --timezone {zone} they fit; --exchange CODE sets another exchange"
                );
            }
            Self::SetExchangeOrTimezone { likely: None } => {
                "--exchange CODE (such as CRYPTO or FOREX) sets the exchange, --timezone ZONE the time zone"
            }
            Self::SetLabelClose => "--timestamp-label close reads timestamps as closes",
            Self::SetInterval { likely: None } => {
                "--interval N sets the length of the bars in minutes"
            }
            Self::SetInterval {
                likely: Some(minutes),
            } => {
                return write!(
                    f,
                    "--interval {minutes} reads them as bars of {minutes} minute{}",
                    if *minutes == 1 { "" } else { "s" }
                );
            }
            Self::SetTicker => "--ticker NAME sets the ticker",
            Self::InjectApart => {
                "inject it in a run of its own: --ticker NAME stores its bars as another ticker, \
                 --on-conflict update replaces the other file's bars, --on-conflict ignore keeps them"
            }
            Self::SelectTickers => {
                "--tickers NAME reads one of them, without --ticker and without column numbers in --columns"
            }
            Self::SetDateOrder { for_rejects: false } => {
                "--date-order dmy|mdy sets whether day or month is first"
            }
            Self::SetDateOrder { for_rejects: true } => {
                "with --date-order dmy|mdy, rows in the other order are rejects"
            }
            Self::SetDecimal { for_rejects: false } => {
                "--decimal point|comma sets the decimal mark"
            }
            Self::SetDecimal { for_rejects: true } => {
                "with --decimal point|comma, rows in another form are rejects"
            }
            Self::ReadMonthFirst => "if they are month first, use --date-order mdy",
            Self::AcceptLastLine => "--accept-last-line accepts it",
            Self::SplitBundle => "--tickers, or --start and --end, split it into several",
            Self::FullBundle => "make a full bundle, without --since",
            Self::ApplyOlder => {
                "--on-conflict ignore adds only missing bars; --allow-older uses this bundle's values"
            }
            Self::AllowHost => "`backfill serve --allow-host NAME` allows one",
            Self::CompareStores => "`backfill serve --compare STORE` compares with one",
            Self::OpenPrintedLink => "open the link that `backfill serve` printed: it works once",
            Self::BaseFilter => "leave the option out to use the base's",
            Self::CompareHash => {
                "copy it again, and compare the manifest's hash with what `bundle create` printed"
            }
            Self::Sync(advice) => return advice.fmt(f),
            Self::Push(advice) => return advice.fmt(f),
        };
        f.write_str(words)
    }
}

impl fmt::Display for SyncAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::AllowDemo => "--allow-demo syncs them anyway; use a database for tests",
            Self::ChooseInterval => "--interval N chooses one",
            Self::SyncOneCopy => {
                "sync one copy of the store at a time; `backfill verify --repair` gives a copy its own id"
            }
            Self::TargetConflict => {
                "--on-conflict ignore keeps the target's values, --on-conflict update writes the stored ones"
            }
            Self::ReplaceKept { rows } => {
                return write!(
                    f,
                    "{rows} rows of the target keep other values than the stored ones; --on-conflict update --full replaces them"
                );
            }
            Self::ReplaceKeptBefore {
                rows,
                series,
                more_series,
            } => {
                write!(
                    f,
                    "syncs with --on-conflict ignore left {rows} rows of {series}"
                )?;
                if *more_series > 0 {
                    write!(f, " and {more_series} more series")?;
                }
                " with other values in the target; --full replaces them"
            }
            Self::RoundVolume => "--round-volume rounds volumes to whole numbers",
            Self::WaitLonger => {
                "--statement-timeout SECONDS waits longer; the next sync continues after this one"
            }
            Self::FewerConnections => "lower --threads, or raise the server's max_connections",
            Self::NameDatabase => {
                "use --database-url, or set DATABASE_URL or libpq's variables (PGHOST, PGDATABASE, …)"
            }
            Self::OtherSchema => {
                "a sync keeps its progress in a table of that name next to its target: rename the other table, or choose a target in another schema with --table SCHEMA.NAME"
            }
            Self::NameZone => {
                "name the zone that they were written in, once: --target-timezone UTC, or another; the sync records it"
            }
            Self::RecordedZone { zone } => {
                return write!(
                    f,
                    "leave out --target-timezone, or use --target-timezone {zone}; an empty table takes any zone"
                );
            }
            Self::CreateTable { sql } => {
                return write!(f, "--create-table creates it, or: {sql}");
            }
        };
        f.write_str(words)
    }
}

impl fmt::Display for PushAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllowDemo => "--allow-demo pushes them anyway; use a table for tests",
            Self::AllowHttp => "use https, or --allow-http in a network that you trust",
            Self::SetCredentials => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with keys in ~/.aws/credentials"
            }
            Self::CheckCredentials => {
                "check the keys, and that they may read, write, list and delete objects of the bucket"
            }
            Self::CheckEndpoint => {
                "check the bucket, --endpoint-url and --region; SSL_CERT_FILE=FILE.pem names the certificates to trust"
            }
            Self::ConditionalWrites => {
                "the storage must support conditional writes (If-None-Match), as AWS S3, MinIO and SeaweedFS do"
            }
            Self::OtherTable => "push to another URL: an empty folder or prefix becomes a table",
            Self::TableConflict => {
                "--on-conflict ignore adds the bars that the table lacks, --on-conflict update also replaces other values"
            }
            Self::PushOneCopy => {
                "push from one copy of a store; `backfill verify --repair` gives a copy its own id"
            }
            Self::Full => "--full compares all files of the table, and uploads missing and damaged ones of this store",
            Self::Compact => "OPTIMIZE of Spark or delta-rs joins them",
            Self::ReplaceKept { rows } => {
                return write!(
                    f,
                    "{rows} bars of the table keep other values than the stored ones; --on-conflict update --full replaces them"
                );
            }
        })
    }
}

impl fmt::Display for FetchAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`backfill specific --store {} --tickers {} --exchange {} --interval {} --start {} --end {} --on-conflict update",
            self.store.display(),
            self.series.ticker,
            self.provenance.exchange,
            self.series.interval.minutes(),
            self.dates.first(),
            self.dates.last()
        )?;
        if self.source.is_demo() {
            f.write_str(" --provider demo")?;
        }
        if self.provenance.hours == Hours::Extended {
            f.write_str(" --extended-hours")?;
        }
        if self.provenance.basis == Basis::Unadjusted {
            f.write_str(" --unadjusted")?;
        }
        f.write_str("` requests all of it again")
    }
}
