// The findings view: bars that can't be right, or are unusual, by check.
import { count, localTime, shortTime, tradingDate } from "./text.js";
import { copyButton, make, table, tag } from "./dom.js";
import { isReport, load } from "./data.js";
import { address, rename } from "./route.js";

/** The most rows of a check that is shown alone. */
const FINDINGS_LISTED_MAX = 1000;
/** The most rows of each of several checks. */
const FINDINGS_OF_EACH_MAX = 200;
/** How often an unfinished audit is looked at. */
const FINDINGS_POLL_MS = 1500;
const SEVERITIES = [["error", "errors", "--failed"], ["warning", "warnings", "--short"]];

/** Shows the view in `view`. Returns what ends it. */
export function showFindings(view, series, parameters) {
  const chosen = { check: parameters.check ?? "", severity: parameters.severity ?? "", ticker: parameters.ticker ?? "" };
  const known = new Map(series.series.map((one) => [`${one.interval_minutes}/${one.ticker}`, one]));
  const checks = make("select", { "aria-label": "Check", change: () => choose({ check: checks.value }) });
  const severities = make("select", { "aria-label": "Severity", change: () => choose({ severity: severities.value }) },
    make("option", { value: "" }, "all severities"), ...SEVERITIES.map(([value, word]) => make("option", { value, selected: value === chosen.severity }, word)));
  const search = make("input", { placeholder: "ticker", "aria-label": "Ticker of findings", value: chosen.ticker, input: () => choose({ ticker: search.value.trim().toUpperCase() }) });
  const summary = make("span", { class: "note" }, "Auditing …");
  const again = make("button", { type: "button", hidden: true, click: () => show({ again: true }) }, "Audit again");
  const notices = make("div", {});
  const list = make("div", { class: "scroll findings" });
  let [isEnded, timer, document] = [false, 0, null];

  async function show(query = {}) {
    const loaded = await load("findings", query).catch((error) => ({ error: error.message, findings: [], not_listed: 0, notices: [], done: true }));
    if (isEnded) return;
    if (loaded === undefined) {
      const command = "backfill report --audit --to report.html";
      view.replaceChildren(make("p", { class: "note" }, "The bars in this report weren't audited. A report with findings: ", copyButton(command), " ", make("code", {}, command)));
      return;
    }
    document = loaded;
    const names = [...new Set(document.findings.map((found) => found.check))].sort();
    if (chosen.check && !names.includes(chosen.check)) names.push(chosen.check);
    checks.replaceChildren(make("option", { value: "" }, "all checks"), ...names.map((name) => make("option", { value: name, selected: name === chosen.check }, name)));
    notices.replaceChildren(document.notices.length === 0 ? "" : make("details", { class: "note" }, make("summary", {}, `${count(document.notices.length)} notes`), ...document.notices.map((notice) => make("p", {}, notice))));
    again.hidden = isReport || !document.done;
    draw();
    if (!isReport && !document.done) timer = setTimeout(show, FINDINGS_POLL_MS);
  }

  function choose(changed) {
    Object.assign(chosen, changed);
    rename("findings", null, chosen);
    if (document) draw();
  }

  function draw() {
    const found = document.findings.filter((one) => ["check", "severity", "ticker"].every((name) => !chosen[name] || one[name] === chosen[name]));
    const state = isReport || document.done ? "" : " so far";
    const all = document.findings.length + document.not_listed;
    const left = document.not_listed > 0 ? `; ${count(document.not_listed)} of all ${count(all)} aren't on this page` : "";
    const when = document.as_of ? `, as of ${shortTime(document.as_of)} UTC` : "";
    summary.textContent = `${countsOf(found)}${left}, in ${count(document.bars)} bars of ${count(document.series)} series${state}${when}`;
    if (document.error) summary.append(make("span", { class: "error" }, ` ${document.error}`));
    const shown = [...new Set(found.map((one) => one.check))];
    const most = shown.length === 1 ? FINDINGS_LISTED_MAX : FINDINGS_OF_EACH_MAX;
    list.replaceChildren(...shown.flatMap((check) => group(check, found.filter((one) => one.check === check), most, known)));
    list.hidden = found.length === 0;
  }

  view.append(make("div", { class: "tools" }, checks, severities, search, summary, again), notices, list);
  show();
  return () => {
    isEnded = true;
    clearTimeout(timer);
  };
}

/** A heading and a table of the findings of a check, errors first. */
function group(check, found, most, known) {
  const listed = found.toSorted((a, b) => Number(a.severity !== "error") - Number(b.severity !== "error")).slice(0, most);
  const rows = listed.map((one) => {
    const of = known.get(`${one.interval_minutes}/${one.ticker}`);
    const [first, last] = [one.first, one.last].map((time) => Date.parse(time) / 1000);
    const time = (seconds, text) => make("span", { title: `${shortTime(text)} UTC` }, localTime(seconds, of?.timezone ?? "UTC"));
    const date = of ? tradingDate(first, of) : null;
    const link = () => make("a", { href: address("chart", one.ticker, { interval: one.interval_minutes, from: date, to: date }) }, one.ticker);
    const values = Object.entries(one.values).map(([name, value]) => `${name.replaceAll("_", " ")} ${figure(value)}`);
    return [of ? link() : one.ticker, `${one.interval_minutes}m`, tag(one.severity, SEVERITIES.find(([name]) => name === one.severity)?.[2] ?? "--empty"),
      time(first, one.first), first === last ? "" : time(last, one.last), count(one.bars), values.join(", ")];
  });
  const more = found.length > listed.length ? `; the first ${count(listed.length)} are listed` : "";
  return [make("h3", {}, check, make("span", { class: "note" }, ` ${countsOf(found)}${more}`)),
    table([["ticker"], ["interval"], ["severity"], ["first"], ["last"], ["bars", "number"], ["values", "wrap"]], rows)];
}

/** `1 error and 3 warnings` */
function countsOf(found) {
  const counts = SEVERITIES.map(([name, word]) => [found.filter((one) => one.severity === name).length, name, word]);
  return counts.map(([number, one, several]) => `${count(number)} ${number === 1 ? one : several}`).join(" and ");
}

function figure(number) {
  if (number === null) return "–";
  return Math.abs(number) >= 1e6 ? count(number) : String(Number(number.toPrecision(6)));
}
