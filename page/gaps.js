// The gaps view: sessions that lack bars, and the command that fills each.
import { STATES, count, letterOf, shortTime } from "./text.js";
import { copyButton, make, table, tag } from "./dom.js";
import { load } from "./data.js";
import { address, rename } from "./route.js";

/** The most rows that are listed at once. */
const GAPS_LISTED_MAX = 1000;

export async function showGaps(view, series, parameters) {
  const document = await load("gaps");
  const all = document.gaps;
  const reasons = [...new Set(all.map((gap) => gap.reason))];
  let reason = reasons.includes(parameters.reason) ? parameters.reason : "";
  let ticker = parameters.ticker ?? "";
  const list = make("div", { class: "scroll" });
  const summary = make("p", { class: "note" });
  const pick = make("select", { "aria-label": "Reason", change: () => { reason = pick.value; show(); } },
    make("option", { value: "" }, "all reasons"), ...reasons.map((one) => make("option", { value: one, selected: one === reason }, STATES[letterOf(one)].word)));
  const search = make("input", { placeholder: "ticker", "aria-label": "Ticker of gaps", value: ticker, input: () => { ticker = search.value.trim().toUpperCase(); show(); } });
  view.append(make("div", { class: "tools" }, pick, search, summary), ...(document.notices ?? []).map((notice) => make("p", { class: "note" }, notice)), list);
  const exchanges = new Map(series.series.map((one) => [`${one.ticker}|${one.interval_minutes}`, one]));

  function show() {
    rename("gaps", null, { reason, ticker });
    const found = all.filter((gap) => (!reason || gap.reason === reason) && (!ticker || gap.ticker === ticker));
    const missing = found.reduce((sum, gap) => sum + Math.max(0, gap.expected - gap.bars), 0);
    summary.textContent = `${count(found.length)} of ${count(all.length)} gaps, about ${count(missing)} bars${found.length > GAPS_LISTED_MAX ? `; the first ${count(GAPS_LISTED_MAX)} are listed` : ""}`;
    const rows = found.slice(0, GAPS_LISTED_MAX).map((gap) => {
      const command = `backfill gaps --fill --tickers ${quoted(gap.ticker)} --interval ${gap.interval_minutes} --start ${gap.session} --end ${gap.session}`;
      const state = STATES[letterOf(gap.reason)];
      const known = exchanges.has(`${gap.ticker}|${gap.interval_minutes}`);
      const where = address("chart", gap.ticker, { interval: gap.interval_minutes, from: gap.session, to: gap.session });
      return [known ? make("a", { href: where }, gap.ticker) : gap.ticker, `${gap.interval_minutes}m`, gap.session, `${count(gap.bars)} / ${count(gap.expected)}`, tag(state.word, state.colour),
        `${shortTime(gap.first_missing)} – ${shortTime(gap.last_missing).slice(11)}`, make("span", {}, copyButton(command), " ", make("code", {}, command))];
    });
    list.replaceChildren(all.length === 0 ? make("p", { class: "note" }, "No session lacks bars.") : table([["ticker"], ["interval"], ["session"], ["bars", "number"], ["reason"], ["missing (UTC)"], ["command"]], rows));
  }
  show();
}

/** A word as a shell reads it. */
export function quoted(word) {
  return /^[A-Za-z0-9._-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
