// The conflicts view: bars that were offered with other values than the stored ones.
import { count, price, shortTime } from "./text.js";
import { make, table } from "./dom.js";
import { load } from "./data.js";
import { address } from "./route.js";

const CONFLICTS_LISTED_MAX = 1000;
/** Columns of the histogram. */
const COLUMNS_MAX = 41;

export async function showConflicts(view) {
  const document = await load("conflicts");
  if (document.total === 0) {
    view.append(make("p", { class: "note" }, "There are no conflicts: no bar was offered with other values than the stored ones."));
    return;
  }
  const detail = make("div", {});
  const list = make("div", { class: "scroll" });
  view.append(make("div", { class: "tools" }, make("b", {}, `${count(document.total)} conflicts`), make("span", { class: "note" }, "offered close ÷ stored close:")), ...histogram(document.ratios), list);
  const days = document.days.slice(0, CONFLICTS_LISTED_MAX).map((day) => [
    make("a", { href: address("chart", day.ticker, { interval: day.interval_minutes, from: day.date, to: day.date }) }, day.ticker),
    `${day.interval_minutes}m`, day.date, count(day.conflicts), count(day.updated), count(day.conflicts - day.updated),
    day.close_ratio === null ? "–" : day.close_ratio.toFixed(4),
    make("button", { type: "button", click: () => rows(day, true) }, "Bars"),
  ]);
  list.append(table([["ticker"], ["interval"], ["date (UTC)"], ["conflicts", "number"], ["updated", "number"], ["kept", "number"], ["median ratio", "number"], [""]], days), detail);
  rows(document.days[0]);
  if (document.days.length > CONFLICTS_LISTED_MAX) list.append(make("p", { class: "note" }, `The newest ${count(CONFLICTS_LISTED_MAX)} of ${count(document.days.length)} days are listed.`));

  function rows(day, isClicked = false) {
    const of = document.conflicts.filter((row) => row.ticker === day.ticker && row.interval_minutes === day.interval_minutes && row.timestamp.slice(0, 10) === day.date);
    const change = (row, name) => {
      const shown = name === "volume" ? count : price;
      return row.staged[name] === row.offered[name] ? shown(row.staged[name]) : `${shown(row.staged[name])} → ${shown(row.offered[name])}`;
    };
    const lines = of.slice(0, CONFLICTS_LISTED_MAX).map((row) => [
      shortTime(row.timestamp), ...["open", "high", "low", "close", "volume"].map((name) => change(row, name)),
      row.staged.close ? (row.offered.close / row.staged.close).toFixed(4) : "–", `${row.staged.source} → ${row.offered.source}`, row.resolution, row.run,
    ]);
    const note = of.length < day.conflicts ? `${count(Math.min(of.length, CONFLICTS_LISTED_MAX))} of ${count(day.conflicts)} conflicts are on this page; the others: backfill conflicts --tickers ${day.ticker}` : "";
    detail.replaceChildren(make("h3", {}, `${day.ticker}, ${day.date}`), make("p", { class: "note" }, note),
      table([["time (UTC)"], ["open", "number"], ["high", "number"], ["low", "number"], ["close", "number"], ["volume", "number"], ["ratio", "number"], ["source"], ["what was done"], ["run"]], lines));
    if (isClicked) detail.scrollIntoView({ block: "nearest" });
  }
}

/** Bars of how often each ratio is there. A split is one high bar far from 1. */
function histogram(ratios) {
  if (ratios.length === 0) return [make("p", { class: "note" }, "no ratios: closes are zero or missing")];
  // 1 is always on the axis: how far away a ratio is from it shows what it is.
  const [low, high] = [Math.min(1, ratios[0][0]), Math.max(1, ratios[ratios.length - 1][0])];
  const width = Math.max((high - low) / (COLUMNS_MAX - 1), 0.001);
  const columns = new Array(Math.min(COLUMNS_MAX, Math.round((high - low) / width) + 1)).fill(0);
  for (const [ratio, times] of ratios) columns[Math.min(columns.length - 1, Math.round((ratio - low) / width))] += times;
  const most = Math.max(...columns);
  const bars = columns.map((times, index) => {
    const bar = make("div", { title: `about ${(low + index * width).toFixed(3)}: ${count(times)} conflicts` });
    bar.style.height = `${times === 0 ? 0 : Math.max(3, (times / most) * 100)}%`;
    return bar;
  });
  return [make("div", { class: "bars", role: "img", "aria-label": "Histogram of ratios" }, ...bars), make("div", { class: "bars-axis" }, make("span", {}, low.toFixed(3)), make("span", {}, high.toFixed(3)))];
}
