// The chart: candles and volume of one series. The server sends as many bars as can be distinguished;
// zooming in fetches finer ones.
import { count, localTime, price, priceStep, signed, tradingDate, utcTime, dayOfDate, STATES, letterOf } from "./text.js";
import { colour, make } from "./dom.js";
import { findingsOf, isReport, load } from "./data.js";
import { address, rename } from "./route.js";

/** The fewest and the most bars that are wanted, and the width of one in pixels. */
const [BARS_MIN, BARS_MAX, BAR_WIDTH] = [200, 2000, 2];
/** Over how many days without a session a move continues. */
const CLOSED_DAYS_MAX = 15;
/** The overlay of the same series of the second store. */
const COMPARED = "compared";
/** The most other series in the list of overlays. */
const OVERLAYS_MAX = 2000;
/** How long the view must stay still before finer bars are fetched. */
const STILL_MS = 250;

/** Shows the chart of `ticker` in `view`. Returns what ends it. */
export function showChart(view, series, ticker, parameters) {
  const of = series.series.filter((one) => one.ticker === ticker);
  if (of.length === 0) {
    view.append(make("p", { class: ticker ? "error" : "note" }, ticker ? `The store has no bars of ${ticker}.` : "Choose a ticker: press / and type, or click a cell of the coverage."));
    return () => {};
  }
  const one = of.find((series) => series.interval_minutes === Number(parameters.interval)) ?? of[0];
  const zone = one.timezone;
  const state = { from: parameters.from, to: parameters.to, bars: null, overlay: parameters.overlay ?? "", closes: new Map(), loading: 0 };
  const audited = findingsOf(ticker, one.interval_minutes);
  const title = make("b", {}, ticker);
  const range = make("span", { class: "note" });
  const box = make("div", { class: "chart" });
  const legend = make("div", { class: "legend-box" });
  const pick = make("select", { "aria-label": "Interval", change: () => go({ interval: pick.value }) }, ...of.map((series) => make("option", { value: series.interval_minutes, selected: series === one }, `${series.interval_minutes} min`)));
  const spans = [["Day", 1], ["Week", 5], ["Month", 21], ["Year", 252], ["All", Infinity]];
  const overlays = overlaysOf(series, one, state.overlay);
  overlays.addEventListener("change", () => { state.overlay = overlays.value; show(false); });
  view.append(
    make("div", { class: "tools" }, title, make("span", { class: "note" }, `${one.exchange}, ${zone}, ${one.basis === "unknown" ? "price basis unknown" : one.basis}`), pick,
      make("span", {}, ...spans.map(([word, sessions]) => make("button", { type: "button", click: () => span(Number(sessions)) }, word))),
      make("button", { type: "button", "aria-label": "Earlier", title: "Earlier (←)", click: () => move(-1) }, "←"),
      make("button", { type: "button", "aria-label": "Later", title: "Later (→)", click: () => move(1) }, "→"),
      overlays, range),
    box,
  );
  box.append(legend);
  const chart = LightweightCharts.createChart(box, options(zone));
  const shade = chart.addSeries(LightweightCharts.HistogramSeries, { priceScaleId: "shade", lastValueVisible: false, priceLineVisible: false });
  const candles = chart.addSeries(LightweightCharts.CandlestickSeries);
  const volumes = chart.addSeries(LightweightCharts.HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
  const other = chart.addSeries(LightweightCharts.LineSeries, { priceScaleId: "left", lineWidth: 1, visible: false, lastValueVisible: false, priceLineVisible: false });
  chart.priceScale("shade").applyOptions({ scaleMargins: { top: 0, bottom: 0 }, visible: false });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.8, bottom: 0 } });
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.24 } });
  const marks = LightweightCharts.createSeriesMarkers(candles, []);

  function mostBars() {
    return Math.min(BARS_MAX, Math.max(BARS_MIN, Math.floor(box.clientWidth / BAR_WIDTH)));
  }

  /** Changes parameters of the address, and shows the view anew. */
  function go(changed) {
    location.hash = address("chart", ticker, { interval: one.interval_minutes, from: state.from, to: state.to, overlay: state.overlay, ...changed });
  }

  /** Shows about `sessions` sessions up to the last shown one. */
  function span(sessions) {
    const to = state.bars?.to ?? state.to;
    if (sessions === Infinity) [state.from, state.to] = [one.first.slice(0, 10), one.last.slice(0, 10)];
    else [state.from, state.to] = [shifted(to, -Math.round((sessions * 7) / 5) + 1), to];
    show(true);
  }

  /** Moves by the length of what is shown. */
  function move(direction) {
    if (!state.from) return;
    const length = dayOfDate(state.to) - dayOfDate(state.from) + 1;
    const [from, to] = [shifted(state.from, direction * length), shifted(state.to, direction * length)];
    if (to < one.first.slice(0, 10) || from > one.last.slice(0, 10)) return;
    [state.from, state.to] = [from, to];
    show(true, direction, CLOSED_DAYS_MAX);
  }

  /** Loads and draws. After a move in a direction, up to `skips` single days without a session are left out. */
  async function show(fit, direction = 0, skips = 0) {
    const mine = ++state.loading;
    const wanted = { ticker, interval: one.interval_minutes, from: state.from, to: state.to, max: mostBars() };
    try {
      const bars = await load("bars", wanted);
      const isLaid = state.overlay && bars.from;
      let problem = "";
      const second = isLaid ? await load("bars", { ...wanted, ...overlaid(state.overlay), from: bars.from, to: bars.to, resolution: bars.resolution }).catch((error) => {
        problem = error.message;
        return null;
      }) : null;
      const findings = inRange(await audited, bars);
      if (mine !== state.loading) return;
      if (skips > 0 && bars.from === bars.to && bars.time.length === 0 && bars.sessions?.length === 0) {
        [state.from, state.to] = [shifted(bars.from, direction), shifted(bars.to, direction)];
        return show(fit, direction, skips - 1);
      }
      draw(bars, second, findings, fit);
      if (problem) range.append(make("span", { class: "error" }, ` ${problem}`));
    } catch (error) {
      if (mine !== state.loading) return;
      range.textContent = error.message;
      range.className = "error";
    }
  }

  function draw(bars, second, findings, fit) {
    [state.bars, state.from, state.to] = [bars, bars.from, bars.to];
    const visible = fit ? null : chart.timeScale().getVisibleRange();
    const paint = { up: colour("--up"), down: colour("--down") };
    chart.applyOptions(options(zone));
    const priceFormat = { type: "custom", formatter: price, minMove: priceStep(Math.min(...bars.low)) };
    other.applyOptions({ priceFormat });
    candles.applyOptions({ priceFormat, upColor: paint.up, downColor: paint.down, wickUpColor: paint.up, wickDownColor: paint.down, borderVisible: false });
    const points = bars.time.map((time, index) => ({ time, open: bars.open[index], high: bars.high[index], low: bars.low[index], close: bars.close[index] }));
    candles.setData(withBlanks(points, bars));
    volumes.setData(bars.time.map((time, index) => ({ time, value: bars.volume[index], color: `${bars.close[index] < bars.open[index] ? paint.down : paint.up}66` })));
    shade.setData(bars.sessions ? bars.time.filter((time) => isOutside(time, bars.sessions)).map((time) => ({ time, value: 1, color: colour("--extended") })) : []);
    const marked = markers(bars, findings);
    marks.setMarkers(marked);
    // The same series of another store has the same prices, or should have.
    const isSame = state.overlay === COMPARED;
    other.applyOptions({ visible: second !== null, color: colour("--accent"), priceScaleId: isSame ? "right" : "left" });
    chart.priceScale("left").applyOptions({ visible: second !== null && !isSame, borderColor: colour("--line") });
    const closes = second ? aligned(second, bars) : [];
    state.closes = new Map(closes);
    other.setData(unjoined(closes, bars.sessions));
    if (visible && bars.time.length > 0) chart.timeScale().setVisibleRange(visible);
    else chart.timeScale().fitContent();
    range.className = "note";
    const minutes = typeof bars.resolution === "number" ? `${bars.resolution}-minute bars` : `bars of a ${bars.resolution}`;
    const lacking = bars.lacking.length === 0 ? "" : bars.lacking.length === 1 ? ", 1 session lacks bars" : `, ${count(bars.lacking.length)} sessions lack bars`;
    const older = isReport && bars.isCut && one.first.slice(0, 10) < bars.from ? " (older bars are not in this report)" : "";
    const found = findings.length === 0 ? "" : findings.length === 1 ? ", 1 finding" : `, ${count(findings.length)} findings`;
    range.textContent = bars.from ? `${bars.from} to ${bars.to}, ${count(bars.time.length)} ${minutes}${lacking}${found}${older}` : "no bars";
    rename("chart", ticker, { interval: one.interval_minutes, from: bars.from, to: bars.to, overlay: state.overlay });
    view.dataset.resolution = String(bars.resolution);
    view.dataset.bars = String(bars.time.length);
    view.dataset.marks = marked.map((mark) => mark.text).join(", ");
    describe(bars.time.length - 1);
  }

  function describe(index) {
    const bars = state.bars;
    if (!bars || index < 0) {
      legend.textContent = "";
      return;
    }
    const time = bars.time[index];
    const change = index > 0 ? ((bars.close[index] / bars.close[index - 1] - 1) * 100).toFixed(2) : null;
    const when = typeof bars.resolution === "number" ? localTime(time, zone) : `${bars.resolution} of ${tradingDate(time, bars)}`;
    legend.textContent = `${when}  O ${price(bars.open[index])}  H ${price(bars.high[index])}  L ${price(bars.low[index])}  C ${price(bars.close[index])}  V ${count(bars.volume[index])}${change === null ? "" : `  ${change} %`}`;
    if (state.overlay) {
      const close = state.closes.get(time);
      const [name, difference] = [overlays.selectedOptions[0].textContent, ((close ?? NaN) / bars.close[index] - 1) * 10000];
      const isSame = state.overlay === COMPARED && Number.isFinite(difference);
      legend.append(make("br"), make("span", { class: "overlay" }, `${name}  C ${price(close)}${isSame ? `  ${signed(difference)} bps` : ""}`));
    }
    legend.title = utcTime(time);
  }

  chart.subscribeCrosshairMove((event) => {
    const index = event.time === undefined ? -1 : (state.bars?.time.indexOf(event.time) ?? -1);
    describe(index >= 0 ? index : (state.bars?.time.length ?? 0) - 1);
    // The exchange's time is in the legend, UTC in the tooltip of the chart.
    box.title = event.time === undefined ? "" : utcTime(Number(event.time));
  });

  let still = 0;
  chart.timeScale().subscribeVisibleTimeRangeChange((shown) => {
    clearTimeout(still);
    if (!shown || !state.bars || state.bars.resolution === one.interval_minutes) return;
    still = setTimeout(() => {
      const [from, to] = [Number(shown.from), Number(shown.to)];
      const inside = state.bars.time.filter((time) => from <= time && time <= to).length;
      if (inside === 0 || !hasFiner(inside, state.bars.resolution, one.interval_minutes, mostBars())) return;
      [state.from, state.to] = [tradingDate(from, one), tradingDate(to, one)];
      show(true);
    }, STILL_MS);
  });

  const keys = (event) => {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") move(-1);
    if (event.key === "ArrowRight") move(1);
  };
  document.addEventListener("keydown", keys);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => state.bars && show(false);
  scheme.addEventListener("change", repaint);
  show(true);
  return () => {
    document.removeEventListener("keydown", keys);
    scheme.removeEventListener("change", repaint);
    clearTimeout(still);
    chart.remove();
  };
}

/** The list of overlays: none, the same series of the second store, other series of this store. */
function overlaysOf(series, one, chosen) {
  const option = (value, text) => make("option", { value, selected: value === chosen }, text);
  const others = series.series.filter((other) => other !== one).slice(0, OVERLAYS_MAX).map((other) => option(`${other.interval_minutes}/${other.ticker}`, `${other.ticker} ${other.interval_minutes}m`));
  return make("select", { "aria-label": "Overlay" }, option("", "no overlay"), ...(one.compared ? [option(COMPARED, `${one.ticker} in ${series.compared_store}`)] : []), ...others);
}

/** The parameters of an overlay's bars. */
function overlaid(overlay) {
  if (overlay === COMPARED) return { store: COMPARED };
  const [minutes, ...ticker] = overlay.split("/");
  return { interval: minutes, ticker: ticker.join("/") };
}

/** Times and closes of an overlay. Bars of a day begin with its first trade, which can differ: they
 * get the time of the other bar of their day. */
function aligned(second, bars) {
  const day = (time) => dayOfDate(tradingDate(time, bars));
  const key = { day, week: (time) => Math.floor((day(time) + 3) / 7) }[bars.resolution];
  if (!key || second.resolution !== bars.resolution) return second.time.map((time, index) => [time, second.close[index]]);
  const times = new Map(bars.time.map((time) => [key(time), time]));
  return second.time.map((time, index) => [times.get(key(time)) ?? time, second.close[index]]);
}

/** The points of a line that isn't drawn across a session without points. */
function unjoined(closes, sessions) {
  const points = closes.map(([time, value]) => ({ time, value }));
  let [at, last] = [0, null];
  points.forEach((point, index) => {
    while (sessions && at + 1 < sessions.length && sessions[at + 1].open <= point.time) at += 1;
    // The colour of a point is that of the line to the next one.
    if (last !== null && at - last > 1) points[index - 1].color = "transparent";
    last = at;
  });
  return points;
}

/** Whether `inside` bars of a resolution could be shorter ones, at most `max`. */
function hasFiner(inside, resolution, stored, max) {
  const minutes = { day: 390, week: 1950 }[resolution] ?? resolution;
  const finer = [30, 15, 5, 1].filter((one) => one < minutes && one >= stored);
  // Some are left out, because the server counts whole days.
  return finer.some((one) => (inside * minutes) / one <= max * 0.8) || (minutes > 60 && inside * 7 <= max * 0.8);
}

function shifted(date, byDays) {
  return new Date(Date.parse(`${date}T00:00:00Z`) + byDays * 86400000).toISOString().slice(0, 10);
}

function options(zone) {
  return {
    autoSize: true,
    layout: { background: { color: "transparent" }, textColor: colour("--text"), attributionLogo: false },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    timeScale: { timeVisible: true, secondsVisible: false, borderColor: colour("--line"), tickMarkFormatter: (time, kind) => tick(time, kind, zone) },
    rightPriceScale: { borderColor: colour("--line") },
    localization: { timeFormatter: (time) => localTime(time, zone) },
    crosshair: { mode: 0 },
  };
}

/** The text of a mark of the time axis. Kinds: year, month, day, time, time with seconds. */
function tick(time, kind, zone) {
  const text = localTime(time, zone);
  if (kind === 0) return text.slice(0, 4);
  if (kind <= 2) return text.slice(5, 10);
  return text.slice(11);
}

/** The bars with an empty point for each one that a session lacks: lines and candles stay apart
 * there, and a missing session takes the room that it should have. */
function withBlanks(points, bars) {
  if (!bars.sessions) return points;
  const step = bars.resolution * 60;
  const times = new Set(bars.time);
  const blanks = [];
  for (const session of bars.sessions) {
    const parts = session.pause ? [[session.open, session.pause[0]], [session.pause[1], session.close]] : [[session.open, session.close]];
    for (const [open, close] of parts) {
      for (let time = open; time < close; time += step) if (!times.has(time)) blanks.push({ time });
    }
  }
  return [...points, ...blanks].sort((a, b) => a.time - b.time);
}

function isOutside(time, sessions) {
  return !sessions.some((session) => session.open <= time && time < session.close && !(session.pause && session.pause[0] <= time && time < session.pause[1]));
}

/** The findings with bars on the shown dates. */
function inRange(findings, bars) {
  return findings.filter((found) => tradingDate(found.first, bars) <= bars.to && bars.from <= tradingDate(found.last, bars));
}

/** Conflicts, suspected splits, sessions with rejected rows, findings, and sessions that lack bars. */
function markers(bars, findings) {
  const at = (time) => {
    // The bar that has the time inside it.
    let index = bars.time.findLastIndex((start) => start <= time);
    if (index < 0) index = 0;
    return bars.time[index];
  };
  if (bars.time.length === 0) return [];
  const found = marksOfConflicts(bars, at).map(([time, conflicts]) => ({ time, position: "aboveBar", shape: "circle", color: colour("--short"), text: conflicts === 1 ? "conflict" : `${count(conflicts)} conflicts` }));
  for (const split of bars.splits) {
    const ratio = split.ratio >= 1 ? `${split.ratio}:1` : `1:${Math.round(1 / split.ratio)}`;
    found.push({ time: at(split.time), position: "aboveBar", shape: "arrowDown", color: colour("--failed"), text: `split ${ratio}?` });
  }
  for (const rejected of bars.rejected) {
    const session = bars.sessions?.find((session) => session.date === rejected.session);
    if (session) found.push({ time: at(session.open), position: "belowBar", shape: "arrowUp", color: colour("--partial"), text: `${count(rejected.rows)} rejected rows` });
  }
  for (const gap of bars.lacking) {
    const session = bars.sessions?.find((session) => session.date === gap.session);
    if (!session) continue;
    const inside = bars.time.find((time) => session.open <= time && time < session.close);
    const time = inside ?? session.open;
    found.push({ time, position: "belowBar", shape: "square", color: colour(STATES[letterOf(gap.reason)].colour), text: bars.lacking.length <= 20 ? STATES[letterOf(gap.reason)].word : "" });
  }
  found.push(...marksOfFindings(findings, at));
  return found.sort((a, b) => a.time - b.time);
}

/** One mark for all findings that begin at the same bar. */
function marksOfFindings(findings, at) {
  const marks = new Map();
  for (const found of findings) {
    const time = at(found.first);
    if (!marks.has(time)) marks.set(time, []);
    marks.get(time).push(found);
  }
  return [...marks].map(([time, here]) => {
    const checks = [...new Set(here.map((found) => found.check))].join(", ");
    const text = here.length === 1 ? checks : `${checks} (${count(here.length)})`;
    const isError = here.some((found) => found.severity === "error");
    return { time, position: "aboveBar", shape: "arrowDown", color: colour(isError ? "--failed" : "--short"), text: marks.size <= 20 ? text : "" };
  });
}

/** Where conflicts are marked, and how many there are at each mark: each bar, or if there are many,
 * the first one of each session. */
function marksOfConflicts(bars, at) {
  const marks = new Map();
  const add = (time) => marks.set(time, (marks.get(time) ?? 0) + 1);
  if (bars.conflicts.length <= 20 || !bars.sessions) {
    bars.conflicts.map(at).forEach(add);
    return [...marks];
  }
  const first = new Map();
  for (const time of bars.conflicts) {
    const session = bars.sessions.find((session) => time < session.close) ?? bars.sessions[bars.sessions.length - 1];
    if (!first.has(session)) first.set(session, at(time));
    add(first.get(session));
  }
  return [...marks];
}
