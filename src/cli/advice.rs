//! The words for what a user can do: the only place that names commands and options for other
//! modules.

use std::fmt;

use crate::advice::{Advice, Continuation, FetchAgain};
use crate::model::{Basis, Hours};

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Words(words) => words,
            Self::NameStore => {
                "--store names another folder; inject-csv, specific and concurrent create a store"
            }
            Self::NameStoreFolder => "--store names the folder of a store",
            Self::VerifyStore => "backfill verify checks the whole store",
            Self::RepairStore => "backfill verify --repair lists what is lost and repairs the rest",
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
            Self::NameColumns => {
                "--columns names the columns: --columns ts=1,open=2,high=3,low=4,close=5"
            }
            Self::SetInterval => "--interval N sets the length of the bars in minutes",
            Self::SetTicker => "--ticker NAME sets the ticker",
            Self::SetDateOrder { for_rejects: false } => {
                "--date-order dmy|mdy|ymd sets the order of day, month and year"
            }
            Self::SetDateOrder { for_rejects: true } => {
                "with --date-order dmy|mdy|ymd, rows in another order are rejects"
            }
            Self::SetDecimal { for_rejects: false } => {
                "--decimal point|comma sets the decimal mark"
            }
            Self::SetDecimal { for_rejects: true } => {
                "with --decimal point|comma, rows in another form are rejects"
            }
            Self::SplitBundle => "--tickers, or --start and --end, split it into several",
            Self::FullBundle => "make a full bundle, without --since",
            Self::ApplyOlder => {
                "--on-conflict ignore adds only missing bars; --allow-older uses this bundle's values"
            }
        };
        f.write_str(words)
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
