// The conflicts view: bars that were offered with other values than the stored ones.
import { count, localTime, price, shortTime } from "./text.js";
import { make, table } from "./dom.js";
import { load } from "./data.js";
import { address } from "./route.js";

const CONFLICTS_LISTED_MAX = 1000;
/** Columns of the histogram. */
const COLUMNS_MAX = 41;
/** Height of the highest bar of the histogram. */
const BAR_HEIGHT = 64;

export async function showConflicts(view, series) {
  const document = await load("conflicts");
  if (document.total === 0) {
    view.append(make("p", { class: "note" }, "There are no conflicts: no bar was offered with other values than the stored ones."));
    return;
  }
  const zones = new Map(series.series.map((one) => [`${one.interval_minutes}/${one.ticker}`, one.timezone]));
  const detail = make("div", {});
  const list = make("div", { class: "scroll" });
  view.append(make("div", { class: "tools" }, make("b", {}, `${count(document.total)} conflicts`), make("span", { class: "note" }, "offered close ÷ stored close:")), ...histogram(document.ratios), list);
  const days = document.days.slice(0, CONFLICTS_LISTED_MAX).map((day) => [
    make("a", { href: address("chart", day.ticker, { interval: day.interval_minutes, from: day.from, to: day.to }) }, day.ticker),
    `${day.interval_minutes}m`, make("span", { title: `${day.date} UTC` }, datesOf(day)), count(day.conflicts), count(day.updated), count(day.conflicts - day.updated),
    day.close_ratio === null ? "–" : day.close_ratio.toFixed(4),
    make("button", { type: "button", click: () => rows(day, true) }, "Bars"),
  ]);
  list.append(table([["ticker"], ["interval"], ["date"], ["conflicts", "number"], ["updated", "number"], ["kept", "number"], ["median ratio", "number"], [""]], days), detail);
  rows(document.days[0]);
  if (document.days_total > days.length) list.append(make("p", { class: "note" }, `The newest ${count(days.length)} of ${count(document.days_total)} days are listed.`));

  function rows(day, isClicked = false) {
    const of = document.conflicts.filter((row) => row.ticker === day.ticker && row.interval_minutes === day.interval_minutes && row.timestamp.slice(0, 10) === day.date);
    const change = (row, name) => {
      const shown = name === "volume" ? count : price;
      return row.staged[name] === row.offered[name] ? shown(row.staged[name]) : `${shown(row.staged[name])} → ${shown(row.offered[name])}`;
    };
    const zone = zones.get(`${day.interval_minutes}/${day.ticker}`) ?? "UTC";
    const lines = of.slice(0, CONFLICTS_LISTED_MAX).map((row) => [
      make("span", { title: `${shortTime(row.timestamp)} UTC` }, localTime(Date.parse(row.timestamp) / 1000, zone)), ...["open", "high", "low", "close", "volume"].map((name) => change(row, name)),
      row.staged.close ? (row.offered.close / row.staged.close).toFixed(4) : "–", `${row.staged.source} → ${row.offered.source}`, row.resolution, row.run,
    ]);
    const note = of.length < day.conflicts ? `${count(Math.min(of.length, CONFLICTS_LISTED_MAX))} of ${count(day.conflicts)} conflicts are on this page; the others: backfill conflicts --tickers ${day.ticker}` : "";
    detail.replaceChildren(make("h3", {}, `${day.ticker}, ${datesOf(day)} (${zone})`), make("p", { class: "note" }, note),
      table([["time"], ["open", "number"], ["high", "number"], ["low", "number"], ["close", "number"], ["volume", "number"], ["ratio", "number"], ["source"], ["resolution"], ["run"]], lines));
    if (isClicked) detail.scrollIntoView({ block: "nearest" });
  }
}

/** The trading dates of a day's conflicts. */
function datesOf(day) {
  return day.from === day.to ? day.from : `${day.from} to ${day.to}`;
}

/** Bars of how often each ratio is there, on a logarithmic axis. A split is one high bar far from 1. */
function histogram(ratios) {
  const known = ratios.filter(([ratio]) => ratio > 0);
  if (known.length === 0) return [make("p", { class: "note" }, "no ratios: closes are zero or missing")];
  // 1 is always on the axis: how far away a ratio is from it shows what it is.
  const low = Math.min(0, Math.log(known[0][0]));
  const high = Math.max(0, Math.log(known[known.length - 1][0]));
  const width = Math.max((high - low) / (COLUMNS_MAX - 1), 0.001);
  const columns = new Array(Math.min(COLUMNS_MAX, Math.round((high - low) / width) + 1)).fill(0);
  const column = (logarithm) => Math.min(columns.length - 1, Math.round((logarithm - low) / width));
  for (const [ratio, times] of known) columns[column(Math.log(ratio))] += times;
  const most = Math.max(...columns);
  // The labels, the most important first: those with too little room are left out.
  const labelled = [];
  for (const index of [columns.indexOf(most), column(0), 0, columns.length - 1]) {
    if (labelled.every((other) => Math.abs(other - index) > 2)) labelled.push(index);
  }
  const bars = columns.map((times, index) => {
    const ratio = ratioText(Math.exp(low + index * width));
    const bar = make("i", { title: `about ${ratio}: ${count(times)} conflicts` });
    bar.style.height = `${times === 0 ? 0 : Math.max(2, (times / most) * BAR_HEIGHT)}px`;
    return make("div", {}, times === most ? make("span", {}, count(times)) : null, bar, make("span", {}, labelled.includes(index) ? ratio : ""));
  });
  return [make("div", { class: "bars", role: "img", "aria-label": "Histogram of ratios" }, ...bars)];
}

function ratioText(ratio) {
  return ratio >= 100 ? count(Math.round(ratio)) : ratio.toFixed(3);
}
