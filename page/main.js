// The frame: tabs, search, the run in progress, and which view is shown.
import { count, duration, shortTime } from "./text.js";
import { byId, make } from "./dom.js";
import { isReport, load } from "./data.js";
import { address, route } from "./route.js";
import { showCoverage } from "./coverage.js";
import { showChart } from "./chart.js";
import { showGaps } from "./gaps.js";
import { showConflicts } from "./conflicts.js";
import { showFindings } from "./findings.js";
import { showComparison } from "./comparison.js";
import { showRuns } from "./history.js";
import { showTargets } from "./targets.js";

const TABS = [["coverage", "Coverage"], ["chart", "Chart"], ["gaps", "Gaps"], ["conflicts", "Conflicts"], ["findings", "Findings"], ["comparison", "Comparison"], ["runs", "Runs"], ["targets", "Targets"]];
/** How often a live page looks for a run in progress. */
const POLL_MS = 1000;
/** After how many looks a running backfill may have published a new state. */
const LOOKS_A_REFRESH = 10;

let end = () => {};
let shown = 0;
let series = null;

async function show() {
  const mine = ++shown;
  const { view, ticker, parameters } = route();
  const place = byId("view");
  end();
  end = () => {};
  for (const link of byId("tabs").querySelectorAll("a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    if (series === null) await refresh();
    if (mine !== shown) return;
    const box = make("div", { class: "view", "data-view": view });
    box.style.cssText = "display:flex;flex-direction:column;flex:1;min-height:0";
    place.replaceChildren(box);
    document.title = `${ticker ?? (TABS.find(([name]) => name === view)?.[1] ?? "backfill")} – backfill`;
    if (view === "coverage") end = showCoverage(box, series, parameters);
    else if (view === "chart") end = showChart(box, series, ticker ?? null, parameters);
    else if (view === "gaps") await showGaps(box, series, parameters);
    else if (view === "conflicts") await showConflicts(box, series);
    else if (view === "findings") end = showFindings(box, series, parameters);
    else if (view === "comparison" && series.compared_store) end = showComparison(box, series);
    else if (view === "runs") await showRuns(box);
    else if (view === "targets") await showTargets(box);
    else box.append(make("p", { class: "error" }, `There is no view ${view}.`));
  } catch (error) {
    place.replaceChildren(make("p", { class: "error" }, `The store can't be shown: ${error.message}`));
  }
}

async function refresh() {
  series = await load("series");
  byId("store").textContent = series.store;
  byId("tabs").querySelector("[data-view=comparison]").toggleAttribute("hidden", !series.compared_store);
  byId("asof").textContent = `${isReport ? "Report" : "Live"}: the store as of ${shortTime(series.as_of)} UTC`;
  const tickers = [...new Set(series.series.map((one) => one.ticker))];
  byId("tickers").replaceChildren(...tickers.slice(0, 5000).map((ticker) => make("option", { value: ticker })));
}

/** Shows the run in progress. When the store has changed, the view is shown anew: during a run the
 * coverage only, now and then. */
async function poll() {
  const bar = byId("running");
  for (let looks = 1; ; looks += 1) {
    try {
      const { writer, generation } = await load("progress");
      bar.hidden = !writer;
      if (writer) bar.replaceChildren(...progress(writer, writer.run));
      const isChanged = series !== null && generation !== null && generation !== series.generation;
      const isDue = looks % LOOKS_A_REFRESH === 0 && route().view === "coverage";
      if (isChanged && (!writer || isDue)) {
        series = null;
        show();
      }
    } catch {
      bar.hidden = false;
      bar.replaceChildren(make("span", { class: "error" }, "backfill serve does not respond"));
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

function progress(writer, run) {
  const process = writer.pid ? `process ${writer.pid}` : "a process";
  if (!run) return [make("span", {}, `${process} is writing`)];
  const share = run.total > 0 ? run.done / run.total : 0;
  return [
    make("b", {}, `${run.command} is running`),
    make("progress", { max: 1, value: share, "aria-label": "Progress" }),
    make("span", {}, `${count(run.done)} of ${count(run.total)} ${run.unit}`),
    make("span", {}, `${run.per_second.toFixed(1)} per second`),
    make("span", {}, `${duration(run.seconds_left)} left`),
    make("span", {}, `${count(run.rows_committed)} bars stored`),
    run.requests === null ? "" : make("span", {}, `${count(run.requests)} requests`),
    make("span", { class: run.failed > 0 ? "error" : "note" }, `${count(run.failed)} failed`),
  ];
}

byId("tabs").append(...TABS.map(([name, word]) => make("a", { href: address(name), "data-view": name, hidden: name === "comparison" }, word)));
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = /** @type {HTMLInputElement} */ (byId("ticker")).value.trim();
  const found = series?.series.find((one) => one.ticker === typed) ?? series?.series.find((one) => one.ticker.toUpperCase().startsWith(typed.toUpperCase()));
  if (found) location.hash = address("chart", found.ticker);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
  event.preventDefault();
  byId("ticker").focus();
});
window.addEventListener("hashchange", show);
show();
if (!isReport) poll();
