//! What can go wrong with a response.

/// What goes wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// 500 with an HTML page.
    Error500,
    /// 502 with an HTML page, as a proxy writes it.
    Error502,
    /// 503 with plain text.
    Error503,
    /// The connection is reset before a byte of the response.
    Reset,
    /// The connection is reset in the middle of the body.
    ResetBody,
    /// No response is ever sent.
    Stall,
    /// Half of the body comes, then nothing more.
    StallBody,
    /// The body ends early, against its content length.
    Cut,
    /// A chunked body ends early, without its last chunk.
    CutChunked,
    /// The body's length is right but its JSON stops in the middle.
    Half,
    /// The body comes in small, slow parts.
    Slow,
    /// 200 with bytes that aren't text, under the content type of JSON.
    Garbage,
    /// 200 with an HTML page.
    Html,
    /// 200 without bars, though there are some.
    Empty,
    /// 200 with the bars of the newest date only: a stricter look-back rule than the service's.
    Truncated,
    /// 200 with `CAPPED_ROWS` bars only: the newest, so that a response can begin inside a session,
    /// or a page of the oldest.
    Capped,
    /// 200 with an error object.
    ErrorObject,
    /// 200 with an unknown error object.
    StrangeObject,
    /// 401, invalid key.
    InvalidKey,
    /// The plan lacks the interval, or the dates.
    Restricted,
    /// The plan lacks the symbol.
    PremiumSymbol,
    /// 403, legacy endpoint.
    Legacy,
    /// 403, account suspended.
    Suspended,
    /// 429, rate or daily limit.
    Limit,
    /// 429 with `Retry-After: 1`.
    LimitRetryAfter,
    /// 429 without a body.
    LimitEmpty,
    /// 429, bandwidth.
    Bandwidth,
    /// 400, symbol missing.
    BadQuery,
    /// Single bars whose high is below their low.
    BadOhlc,
    /// Single bars with a spike twenty times the price.
    Spike,
    /// Single-day responses without their opening bar.
    LateOpening,
    /// 200, and the next page is the same again.
    RepeatedPage,
    /// 200, and the next page is at another host.
    ForeignPage,
    /// 200 with the bars of another ticker.
    OtherTicker,
    /// 200 with the other price basis than requested.
    OtherBasis,
    /// 200 with the bars' numbers written as strings.
    Strings,
    /// 200 with the column `close` renamed to `last`.
    Renamed,
    /// A checksum that isn't that of its file.
    WrongChecksum,
    /// 404 for a file that there is.
    MissingFile,
    /// A file that begins with the names of its columns.
    HeaderLine,
}

use FaultKind as K;

/// Bars that a response keeps under [`FaultKind::Capped`].
pub(super) const CAPPED_ROWS: usize = 500;

/// The kinds by the name they have on the command line.
const NAMES: [(&str, FaultKind); 40] = [
    ("500", K::Error500),
    ("502", K::Error502),
    ("503", K::Error503),
    ("reset", K::Reset),
    ("reset-body", K::ResetBody),
    ("stall", K::Stall),
    ("stall-body", K::StallBody),
    ("cut", K::Cut),
    ("cut-chunked", K::CutChunked),
    ("half", K::Half),
    ("slow", K::Slow),
    ("garbage", K::Garbage),
    ("html", K::Html),
    ("empty", K::Empty),
    ("truncated", K::Truncated),
    ("capped", K::Capped),
    ("strings", K::Strings),
    ("renamed", K::Renamed),
    ("repeated-page", K::RepeatedPage),
    ("foreign-page", K::ForeignPage),
    ("other-ticker", K::OtherTicker),
    ("other-basis", K::OtherBasis),
    ("wrong-checksum", K::WrongChecksum),
    ("missing-file", K::MissingFile),
    ("header-line", K::HeaderLine),
    ("error-object", K::ErrorObject),
    ("strange-object", K::StrangeObject),
    ("401", K::InvalidKey),
    ("402", K::Restricted),
    ("402-symbol", K::PremiumSymbol),
    ("403", K::Legacy),
    ("403-suspended", K::Suspended),
    ("429", K::Limit),
    ("429-retry-after", K::LimitRetryAfter),
    ("429-empty", K::LimitEmpty),
    ("429-bandwidth", K::Bandwidth),
    ("400", K::BadQuery),
    ("bad-ohlc", K::BadOhlc),
    ("spike", K::Spike),
    ("late-opening", K::LateOpening),
];

impl FaultKind {
    /// Every kind's name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The kind of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (_, kind) = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(*kind)
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| *name)
    }

    /// Whether it changes an intact response while it is made.
    pub(super) const fn is_in_response(self) -> bool {
        matches!(
            self,
            Self::Truncated
                | Self::Capped
                | Self::RepeatedPage
                | Self::ForeignPage
                | Self::OtherTicker
                | Self::OtherBasis
                | Self::WrongChecksum
                | Self::MissingFile
                | Self::HeaderLine
        )
    }

    /// Whether it changes bars inside an intact response, instead of the response itself.
    pub(super) const fn is_in_data(self) -> bool {
        matches!(self, Self::BadOhlc | Self::Spike | Self::LateOpening)
    }
}
