//! The log: `tracing` events of this program as lines on standard error.
//!
//! As text, lines other than INFO have a prefix: `warning: …`, `error: …`, `debug: …`. As JSON,
//! each line is one object. Only this program's own events are shown, because those of libraries
//! could hold a key.

use std::fmt::{self, Write};
use std::sync::Arc;

use chrono::SecondsFormat;
use clap::ValueEnum;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::clock;
use super::terminal::Terminal;
use crate::secret::without_passwords;

/// The target of lines without a prefix, at any level.
pub(super) const LINE: &str = "backfill::line";
/// The target of lines that begin with `hint: `.
pub(super) const HINT: &str = "backfill::hint";

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    /// Each request, each batch, every error's chain of causes.
    #[value(name = "DEBUG")]
    Debug,
    /// A line per ticker or file, and the Summary.
    #[value(name = "INFO")]
    Info,
    /// Warnings and errors only.
    #[value(name = "WARNING", alias = "WARN")]
    Warning,
    /// Errors only.
    #[value(name = "ERROR")]
    Error,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Info => Self::INFO,
            LogLevel::Warning => Self::WARN,
            LogLevel::Error => Self::ERROR,
        }
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Plain lines
    Text,
    /// One JSON object per line
    Json,
}

/// Sends this program's events to `terminal` from now on.
pub(super) fn start(level: LogLevel, format: LogFormat, terminal: Arc<Terminal>) {
    let filter = Targets::new().with_target("backfill", LevelFilter::from(level));
    let layer = Lines { format, terminal }.with_filter(filter);
    // Fails only if a log was started before; that one continues.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

struct Lines {
    format: LogFormat,
    terminal: Arc<Terminal>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = match self.format {
            LogFormat::Text => text(metadata.target(), *metadata.level(), &fields),
            LogFormat::Json => json(metadata.target(), *metadata.level(), fields),
        };
        self.terminal.line(&line);
    }
}

fn text(target: &str, level: Level, fields: &Fields) -> String {
    let prefix = match (target, level) {
        (HINT, _) => "hint: ",
        (LINE, _) | (_, Level::INFO) => "",
        (_, Level::ERROR) => "error: ",
        (_, Level::WARN) => "warning: ",
        _ => "debug: ",
    };
    let mut line = format!("{prefix}{}", fields.message);
    if target != LINE && target != HINT {
        for (name, value) in &fields.rest {
            let _ = match value {
                Value::String(value) => write!(line, " {name}={value}"),
                value => write!(line, " {name}={value}"),
            };
        }
    }
    if line.contains(['\n', '\r']) {
        line = line.replace(['\n', '\r'], " ");
    }
    without_passwords(&line).into_owned()
}

fn json(target: &str, level: Level, fields: Fields) -> String {
    let level = match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    };
    let now = clock::now()
        .to_utc()
        .to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut object = Map::new();
    object.insert("timestamp".into(), now.into());
    object.insert("level".into(), level.into());
    if target == HINT {
        object.insert("hint".into(), true.into());
    }
    let message = without_passwords(&fields.message).into_owned();
    object.insert("message".into(), message.into());
    object.extend(fields.rest);
    Value::Object(object).to_string()
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(String, Value)>,
}

impl Fields {
    fn keep(&mut self, field: &Field, value: Value) {
        self.rest.push((field.name().to_owned(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.keep(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.keep(field, value.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &str) -> Fields {
        Fields {
            message: message.into(),
            rest: vec![("rows".into(), 3.into()), ("url".into(), "/x".into())],
        }
    }

    #[test]
    fn text_lines_have_a_prefix_unless_they_are_information() {
        let of = |target, level| text(target, level, &fields("a\nb"));
        assert_eq!(of("backfill::store", Level::INFO), "a b rows=3 url=/x");
        assert_eq!(
            of("backfill::store", Level::WARN),
            "warning: a b rows=3 url=/x"
        );
        assert_eq!(
            of("backfill::store", Level::DEBUG),
            "debug: a b rows=3 url=/x"
        );
        assert_eq!(of(LINE, Level::ERROR), "a b");
        assert_eq!(of(HINT, Level::INFO), "hint: a b");
    }

    #[test]
    fn json_lines_are_one_object() {
        let line = json(HINT, Level::WARN, fields("a\nb"));
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["level"], "WARNING");
        assert_eq!(object["message"], "a\nb");
        assert_eq!(object["rows"], 3);
        assert_eq!(object["hint"], true);
        assert!(!line.contains('\n'));
    }
}
