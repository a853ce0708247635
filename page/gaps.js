// The gaps view: sessions that lack bars, and the command that fills each.
import { STATES, count, dayOfDate, letterOf } from "./text.js";
import { copyButton, make, table, tag } from "./dom.js";
import { load } from "./data.js";
import { address, rename } from "./route.js";

/** Sessions over a weekend with a holiday are neighbours. */
const DAYS_APART_MAX = 4;
/** The most rows that are listed at once. */
const GAPS_LISTED_MAX = 1000;

export async function showGaps(view, series, parameters) {
  const isWhole = !series.too_many_sessions;
  // For a very large store, only the gaps of one ticker are listed.
  const document = isWhole || parameters.ticker ? await load("gaps", isWhole ? {} : { ticker: parameters.ticker }) : { gaps: [], total: 0, notices: ["The store has too many sessions to list all gaps: type a ticker."] };
  const all = document.gaps;
  const older = document.total > all.length ? `; of ${count(document.total)} in the store these are the newest, backfill gaps lists all` : "";
  const reasons = [...new Set(all.map((gap) => gap.reason))];
  let reason = reasons.includes(parameters.reason) ? parameters.reason : "";
  let ticker = parameters.ticker ?? "";
  const list = make("div", { class: "scroll" });
  const summary = make("p", { class: "note" });
  const pick = make("select", { "aria-label": "Reason", change: () => { reason = pick.value; show(); } },
    make("option", { value: "" }, "all reasons"), ...reasons.map((one) => make("option", { value: one, selected: one === reason }, STATES[letterOf(one)].word)));
  const search = make("input", { placeholder: "ticker", "aria-label": "Ticker of gaps", value: ticker, input: () => { ticker = search.value.trim().toUpperCase(); show(); }, change: () => { if (!isWhole) location.hash = address("gaps", null, { ticker }); } });
  view.append(make("div", { class: "tools" }, pick, search, summary), ...(document.notices ?? []).map((notice) => make("p", { class: "note" }, notice)), list);
  const exchanges = new Map(series.series.map((one) => [`${one.ticker}|${one.interval_minutes}`, one]));

  function show() {
    if (isWhole) rename("gaps", null, { reason, ticker });
    const found = all.filter((gap) => (!reason || gap.reason === reason) && (!ticker || gap.ticker === ticker));
    const missing = found.reduce((sum, gap) => sum + Math.max(0, gap.expected - gap.bars), 0);
    const ranges = rangesOf(found);
    const listed = ranges.length > GAPS_LISTED_MAX ? `; the first ${count(GAPS_LISTED_MAX)} of ${count(ranges.length)} ranges are listed` : "";
    summary.textContent = `${count(found.length)} of ${count(all.length)} sessions that lack bars, about ${count(missing)} bars${listed}${older}`;
    const rows = ranges.slice(0, GAPS_LISTED_MAX).map((range) => {
      const command = `backfill gaps --fill --tickers ${quoted(range.ticker)} --interval ${range.interval_minutes} --start ${range.first} --end ${range.last}`;
      const state = STATES[letterOf(range.reason)];
      const known = exchanges.has(`${range.ticker}|${range.interval_minutes}`);
      const where = address("chart", range.ticker, { interval: range.interval_minutes, from: range.first, to: range.last });
      const when = range.first === range.last ? range.first : `${range.first} to ${range.last}`;
      return [known ? make("a", { href: where }, range.ticker) : range.ticker, `${range.interval_minutes}m`, when, count(range.sessions), `${count(range.bars)} / ${count(range.expected)}`,
        tag(state.word, state.colour), make("span", { title: command }, copyButton(command), make("code", {}, command))];
    });
    list.replaceChildren(all.length === 0 ? make("p", { class: "note" }, isWhole || ticker ? "No session lacks bars." : "") : table([["ticker"], ["interval"], ["dates"], ["sessions", "number"], ["bars", "number"], ["reason"], ["command that fills it", "command"]], rows));
  }
  show();
}

/** Neighbouring sessions of a series with one reason: one range. */
function rangesOf(gaps) {
  const ranges = [];
  for (const gap of gaps) {
    const last = ranges[ranges.length - 1];
    const isNext = last && last.ticker === gap.ticker && last.interval_minutes === gap.interval_minutes && last.reason === gap.reason && dayOfDate(gap.session) - dayOfDate(last.last) <= DAYS_APART_MAX;
    if (isNext) {
      last.last = gap.session;
      last.sessions += 1;
      last.bars += gap.bars;
      last.expected += gap.expected;
    } else {
      ranges.push({ ticker: gap.ticker, interval_minutes: gap.interval_minutes, reason: gap.reason, first: gap.session, last: gap.session, sessions: 1, bars: gap.bars, expected: gap.expected });
    }
  }
  return ranges;
}

/** A word as a shell reads it. */
export function quoted(word) {
  return /^[A-Za-z0-9._-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
