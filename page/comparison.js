// The comparison view: each series in this store and in a second one, those that agree least first.
import { count, signed } from "./text.js";
import { make, table } from "./dom.js";
import { isReport, load } from "./data.js";
import { address } from "./route.js";

const SERIES_LISTED_MAX = 1000;
/** How often an unfinished comparison is looked at. */
const COMPARISON_POLL_MS = 1500;

/** Shows the view in `view`. Returns what ends it. */
export function showComparison(view, series) {
  const summary = make("span", { class: "note" }, "Comparing …");
  const again = make("button", { type: "button", hidden: true, click: () => show({ again: true }) }, "Compare again");
  const list = make("div", { class: "scroll" });
  view.append(make("div", { class: "tools" }, make("b", {}, `${series.store} and ${series.compared_store}`), summary, again), list);
  let [isEnded, timer] = [false, 0];

  async function show(parameters = {}) {
    const document = await load("comparison", parameters).catch((error) => ({ error: error.message, series: [], totals: {}, done: true }));
    if (isEnded) return;
    const { totals } = document;
    const state = isReport || document.done ? "" : " so far";
    const share = totals.agreement === null || totals.agreement === undefined ? "–" : shareText(totals.agreement);
    summary.textContent = `${count(document.series.length)} series${state}: ${share} of the bars agree; ${count(totals.different)} differ, ${count(totals.only_here)} only in ${series.store}, ${count(totals.only_there)} only in ${series.compared_store}`;
    if (document.error) summary.append(make("span", { class: "error" }, ` ${document.error}`));
    again.hidden = isReport || !document.done;
    list.replaceChildren(tableOf(document.series, series));
    if (!isReport && !document.done) timer = setTimeout(show, COMPARISON_POLL_MS);
  }

  show();
  return () => {
    isEnded = true;
    clearTimeout(timer);
  };
}

function tableOf(compared, series) {
  const shown = new Map(series.series.map((one) => [`${one.interval_minutes}/${one.ticker}`, one.compared]));
  const worst = compared.toSorted((a, b) => (a.agreement ?? 2) - (b.agreement ?? 2)).slice(0, SERIES_LISTED_MAX);
  const rows = worst.map((one) => {
    const overlay = shown.get(`${one.interval_minutes}/${one.ticker}`) ? "compared" : "";
    const isHere = one.here !== null;
    const factor = one.close_factor === null ? "" : `${one.close_factor.toFixed(4)}, ${datesIn(one.factor_first, one.factor_last)}`;
    const shift = one.shift_minutes ? `${signed(one.shift_minutes).replace(".00", "")} min, ${datesIn(one.shift_first, one.shift_last)}` : "";
    return [
      isHere ? make("a", { href: address("chart", one.ticker, { interval: one.interval_minutes, overlay }) }, one.ticker) : one.ticker,
      `${one.interval_minutes}m`, one.agreement === null ? "–" : shareText(one.agreement),
      count(one.identical), count(one.within), count(one.different), count(one.only_here), count(one.only_there), factor, shift, one.notes.join("; "),
    ];
  });
  return table([["ticker"], ["interval"], ["agreement", "number"], ["identical", "number"], ["within 1 bp", "number"], ["different", "number"], ["only here", "number"], ["only there", "number"], ["factor"], ["shift"], ["notes", "wrap"]], rows);
}

/** A share in percent: not 100 % before all is equal. */
function shareText(share) {
  return `${(Math.floor(share * 10000) / 100).toFixed(2)} %`;
}

function datesIn(first, last) {
  return first === last ? first : `${first} to ${last}`;
}
