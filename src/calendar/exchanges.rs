//! The calendar of each exchange, and the exchange of each ticker suffix.

/// The compiled-in files by market identifier code.
pub(super) const FILES: [(&str, &str); 32] = [
    ("BVMF", include_str!("../../data/calendars/BVMF.csv")),
    ("XAMS", include_str!("../../data/calendars/XAMS.csv")),
    ("XASX", include_str!("../../data/calendars/XASX.csv")),
    ("XBOM", include_str!("../../data/calendars/XBOM.csv")),
    ("XBRU", include_str!("../../data/calendars/XBRU.csv")),
    ("XCSE", include_str!("../../data/calendars/XCSE.csv")),
    ("XDUB", include_str!("../../data/calendars/XDUB.csv")),
    ("XETR", include_str!("../../data/calendars/XETR.csv")),
    ("XFRA", include_str!("../../data/calendars/XFRA.csv")),
    ("XHEL", include_str!("../../data/calendars/XHEL.csv")),
    ("XHKG", include_str!("../../data/calendars/XHKG.csv")),
    ("XIST", include_str!("../../data/calendars/XIST.csv")),
    ("XJSE", include_str!("../../data/calendars/XJSE.csv")),
    ("XKRX", include_str!("../../data/calendars/XKRX.csv")),
    ("XLIS", include_str!("../../data/calendars/XLIS.csv")),
    ("XLON", include_str!("../../data/calendars/XLON.csv")),
    ("XMAD", include_str!("../../data/calendars/XMAD.csv")),
    ("XMEX", include_str!("../../data/calendars/XMEX.csv")),
    ("XMIL", include_str!("../../data/calendars/XMIL.csv")),
    ("XNYS", include_str!("../../data/calendars/XNYS.csv")),
    ("XNZE", include_str!("../../data/calendars/XNZE.csv")),
    ("XOSL", include_str!("../../data/calendars/XOSL.csv")),
    ("XPAR", include_str!("../../data/calendars/XPAR.csv")),
    ("XSES", include_str!("../../data/calendars/XSES.csv")),
    ("XSHG", include_str!("../../data/calendars/XSHG.csv")),
    ("XSTO", include_str!("../../data/calendars/XSTO.csv")),
    ("XSWX", include_str!("../../data/calendars/XSWX.csv")),
    ("XTAI", include_str!("../../data/calendars/XTAI.csv")),
    ("XTKS", include_str!("../../data/calendars/XTKS.csv")),
    ("XTSE", include_str!("../../data/calendars/XTSE.csv")),
    ("XWAR", include_str!("../../data/calendars/XWAR.csv")),
    ("XWBO", include_str!("../../data/calendars/XWBO.csv")),
];

/// Trades every minute of every day.
pub(super) const CRYPTO: &str = "CRYPTO";
/// Trades from Sunday 17:00 to Friday 17:00, New York.
pub(super) const FOREX: &str = "FOREX";

/// Exchange codes that aren't market identifier codes of [`FILES`].
const ALIASES: [(&str, &str); 49] = [
    ("NASDAQ", "XNYS"),
    ("NYSE", "XNYS"),
    ("AMEX", "XNYS"),
    ("ARCA", "XNYS"),
    ("BATS", "XNYS"),
    ("OTC", "XNYS"),
    ("XNAS", "XNYS"),
    ("XASE", "XNYS"),
    ("ARCX", "XNYS"),
    ("TSX", "XTSE"),
    ("TSXV", "XTSE"),
    ("NEO", "XTSE"),
    ("LSE", "XLON"),
    ("XETRA", "XETR"),
    ("FRA", "XFRA"),
    ("FWB", "XFRA"),
    ("HKEX", "XHKG"),
    ("HKSE", "XHKG"),
    ("JPX", "XTKS"),
    ("TSE", "XTKS"),
    ("ASX", "XASX"),
    ("SIX", "XSWX"),
    ("EURONEXT", "XPAR"),
    ("PAR", "XPAR"),
    ("AMS", "XAMS"),
    ("BRU", "XBRU"),
    ("LIS", "XLIS"),
    ("MIL", "XMIL"),
    ("BME", "XMAD"),
    ("STO", "XSTO"),
    ("CPH", "XCSE"),
    ("HEL", "XHEL"),
    ("OSL", "XOSL"),
    ("VIE", "XWBO"),
    ("DUB", "XDUB"),
    ("WSE", "XWAR"),
    ("BSE", "XBOM"),
    ("NSE", "XBOM"),
    ("SSE", "XSHG"),
    ("SZSE", "XSHG"),
    ("KSC", "XKRX"),
    ("KRX", "XKRX"),
    ("TAI", "XTAI"),
    ("SES", "XSES"),
    ("NZE", "XNZE"),
    ("JNB", "XJSE"),
    ("SAO", "BVMF"),
    ("MEX", "XMEX"),
    ("IST", "XIST"),
];

/// Ticker suffixes, without the dot, and their exchanges.
const SUFFIXES: [(&str, &str); 38] = [
    ("TO", "TSX"),
    ("V", "TSXV"),
    ("NE", "NEO"),
    ("L", "LSE"),
    ("IL", "LSE"),
    ("DE", "XETRA"),
    ("F", "FRA"),
    ("HK", "HKEX"),
    ("T", "JPX"),
    ("AX", "ASX"),
    ("SW", "SIX"),
    ("PA", "PAR"),
    ("AS", "AMS"),
    ("BR", "BRU"),
    ("LS", "LIS"),
    ("MI", "MIL"),
    ("MC", "BME"),
    ("ST", "STO"),
    ("CO", "CPH"),
    ("HE", "HEL"),
    ("OL", "OSL"),
    ("VI", "VIE"),
    ("IR", "DUB"),
    ("WA", "WSE"),
    ("BO", "BSE"),
    ("NS", "NSE"),
    ("SS", "SSE"),
    ("SZ", "SZSE"),
    ("KS", "KSC"),
    ("KQ", "KSC"),
    ("TW", "TAI"),
    ("TWO", "TAI"),
    ("SI", "SES"),
    ("NZ", "NZE"),
    ("JO", "JNB"),
    ("SA", "SAO"),
    ("MX", "MEX"),
    ("IS", "IST"),
];

/// The calendar that an exchange code follows: a name of [`FILES`], [`CRYPTO`] or [`FOREX`]. The
/// code must be in upper case.
pub(super) fn calendar_of(code: &str) -> Option<&'static str> {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == code)
        .map(|(_, calendar)| *calendar)
        .or_else(|| FILES.iter().map(|(mic, _)| *mic).find(|mic| *mic == code))
        .or_else(|| [CRYPTO, FOREX].into_iter().find(|rule| *rule == code))
}

/// All known codes, sorted.
pub(super) fn known_codes() -> Vec<&'static str> {
    let mut codes: Vec<&'static str> = ALIASES
        .iter()
        .map(|(alias, _)| *alias)
        .chain(FILES.iter().map(|(mic, _)| *mic))
        .chain([CRYPTO, FOREX])
        .collect();
    codes.sort_unstable();
    codes
}

/// The exchange of a ticker's suffix: `TSX` for `SHOP.TO`. `None` without a suffix, or with one
/// that isn't an exchange's: the `B` of `BRK.B` is a share class.
#[must_use]
pub fn suffix_exchange(ticker: &str) -> Option<&'static str> {
    let (stem, suffix) = ticker.trim().rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    SUFFIXES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(suffix))
        .map(|(_, exchange)| *exchange)
}

/// The exchange of a ticker's suffix, if it has another calendar than `exchange`. Then the ticker's
/// times would be read in the wrong time zone.
#[must_use]
pub fn foreign_suffix(ticker: &str, exchange: &str) -> Option<&'static str> {
    let named = suffix_exchange(ticker)?;
    let exchange = exchange.trim().to_ascii_uppercase();
    (calendar_of(named) != calendar_of(&exchange)).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_of_known_exchanges() {
        for (suffix, exchange) in SUFFIXES {
            assert!(calendar_of(exchange).is_some(), "{suffix} {exchange}");
        }
        for (alias, calendar) in ALIASES {
            assert!(
                FILES.iter().any(|(mic, _)| *mic == calendar),
                "{alias} {calendar}"
            );
        }
        let codes = known_codes();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_share_class_is_not_a_suffix() {
        assert_eq!(suffix_exchange("SHOP.TO"), Some("TSX"));
        assert_eq!(suffix_exchange("vod.l"), Some("LSE"));
        assert_eq!(suffix_exchange("0700.HK"), Some("HKEX"));
        for ticker in ["AAPL", "BRK.B", "BRK-B", ".TO", "^GSPC", "A.B.C"] {
            assert_eq!(suffix_exchange(ticker), None, "{ticker}");
        }
    }

    #[test]
    fn only_another_calendar_is_foreign() {
        assert_eq!(foreign_suffix("SAP.DE", "NASDAQ"), Some("XETRA"));
        assert_eq!(foreign_suffix("SAP.DE", "xetr"), None);
        assert_eq!(foreign_suffix("AIR.PA", "EURONEXT"), None);
        assert_eq!(foreign_suffix("AAPL", "LSE"), None);
        assert_eq!(foreign_suffix("BRK.B", "NYSE"), None);
    }
}
