// The coverage view: tickers down, sessions across, one colour per session. Only the visible
// part is fetched and drawn.
import { STATES, count, dateOfDay, percent, bytes, shortTime, weekday } from "./text.js";
import { card, colour, make } from "./dom.js";
import { days, decodeRow } from "./runs.js";
import { isReport, load } from "./data.js";
import { address, rename } from "./route.js";

const ROW_HEIGHT = 18;
const HEAD_HEIGHT = 34;
const LABEL_WIDTH = 118;
/** Rows of one request. */
const PAGE_ROWS = 50;
/** The most rows that are kept decoded: a few screens. */
const DECODED_MAX = 400;
/** Width of a cell and days since 1970 of the column of a day, by zoom. */
const ZOOMS = {
  session: { width: 9, key: (day) => day },
  week: { width: 9, key: (day) => Math.floor((day + 3) / 7) },
  month: { width: 13, key: (day) => Number(dateOfDay(day).slice(0, 4)) * 12 + Number(dateOfDay(day).slice(5, 7)) },
};

/** Where the map was scrolled to and its zoom, for when a run has added bars. */
let kept = null;

/** What was fetched of a state of the store. */
let fetched = nothingOf("");

/** Nothing yet: no rows, by page; no decoded rows, by index; no sessions, as days since 1970, by exchange. */
function nothingOf(of) {
  return { of, pages: new Map(), decoded: new Map(), calendars: null, columns: new Map() };
}

/** Shows the view in `view`. Returns what ends it. */
export function showCoverage(view, series, parameters) {
  const total = series.series.length;
  const sums = series.totals;
  view.append(
    make("div", { class: "cards" },
      ...(series.too_many_sessions ? [] : [
        card(percent(sums.sessions_complete, sums.sessions_expected), "sessions complete"),
        card(sums.sessions_expected > 0 ? count(sums.sessions_expected - sums.sessions_complete) : "–", "sessions missing or short", address("gaps")),
      ]),
      card(count(total), "series"),
      card(count(sums.rows), "bars"),
      card(count(sums.hot_rows), "bars not in the lake yet"),
      card(bytes(series.bytes_on_disk), "on disk"),
    ),
  );
  if (total === 0) {
    view.append(make("p", { class: "note" }, "The store has no bars yet."));
    return () => {};
  }
  const of = `${series.as_of}/${sums.rows}/${total}`;
  if (fetched.of !== of) fetched = nothingOf(of);
  const before = kept;
  const state = { zoom: parameters.zoom in ZOOMS ? parameters.zoom : null, hover: null, row: 0, column: 0, selected: false };
  const canvas = /** @type {HTMLCanvasElement} */ (make("canvas", { role: "img", "aria-label": "Sessions of each series by state" }));
  const space = make("div", { class: "space" });
  const map = make("div", { class: "map", tabindex: "0", "aria-label": "Coverage. Arrow keys move between sessions, Enter opens the chart." }, canvas, space);
  const tip = make("div", { class: "tip", hidden: true });
  const zooms = make("span", {}, ...Object.keys(ZOOMS).map((zoom) => make("button", { type: "button", "data-zoom": zoom, click: () => setZoom(zoom) }, zoom)), " a cell");
  view.append(make("div", { class: "tools" }, zooms, make("span", { class: "spring" }), legend()), map, tip);

  /** The columns of the map at this zoom: each with its first and last day, and the sessions of
   * each exchange inside it. */
  function columns() {
    const known = fetched.columns.get(state.zoom);
    if (known || !fetched.calendars) return known ?? [];
    const { key } = ZOOMS[state.zoom];
    const byKey = new Map();
    for (const [exchange, sessions] of Object.entries(fetched.calendars)) {
      sessions.forEach((day, index) => {
        const at = key(day);
        const column = byKey.get(at) ?? { first: day, last: day, of: {} };
        column.first = Math.min(column.first, day);
        column.last = Math.max(column.last, day);
        const range = (column.of[exchange] ??= [index, index]);
        range[1] = index;
        byKey.set(at, column);
      });
    }
    const sorted = [...byKey.entries()].sort((a, b) => a[0] - b[0]).map(([, column]) => column);
    fetched.columns.set(state.zoom, sorted);
    return sorted;
  }

  function row(index) {
    const decoded = fetched.decoded.get(index);
    if (decoded) return decoded;
    const page = Math.floor(index / PAGE_ROWS);
    const known = fetched.pages.get(page);
    if (known === undefined) fetchPage(page);
    const packed = Array.isArray(known) ? known[index - page * PAGE_ROWS] : null;
    if (!packed) return null;
    const sessions = fetched.calendars[packed.exchange] ?? [];
    const made = { ...decodeRow(packed), sessions, from: sessions.indexOf(packed.day), cells: {} };
    if (fetched.decoded.size >= DECODED_MAX) fetched.decoded.delete(fetched.decoded.keys().next().value);
    fetched.decoded.set(index, made);
    return made;
  }

  /** The sessions of a row in a column. */
  function summaryOf(decoded, column, at) {
    const cells = (decoded.cells[state.zoom] ??= []);
    return (cells[at] ??= summary(decoded, column));
  }

  /** Adds the sessions of a document. That of other rows can begin earlier or end later. */
  function addCalendars(calendars) {
    fetched.calendars ??= {};
    for (const [exchange, sessions] of Object.entries(calendars)) {
      const known = fetched.calendars[exchange] ?? [];
      if (sessions.length === 0 || (known.length > 0 && known[0] <= sessions[0] && sessions[sessions.length - 1] <= known[known.length - 1])) continue;
      fetched.calendars[exchange] = [...new Set([...known, ...sessions])].sort((a, b) => a - b);
      fetched.columns.clear();
      fetched.decoded.clear();
    }
  }

  async function fetchPage(page) {
    const mine = fetched;
    mine.pages.set(page, "on its way");
    try {
      const document = await load("coverage", { first: page * PAGE_ROWS, count: PAGE_ROWS });
      if (mine !== fetched) return;
      const calendars = Object.fromEntries(Object.entries(document.calendars).map(([exchange, distances]) => [exchange, days(distances)]));
      addCalendars(calendars);
      // A report has all rows in one document.
      const rows = document.rows.map((one) => ({ ...one, day: calendars[one.exchange][one.from] }));
      const start = isReport ? 0 : page;
      for (let at = 0; at < rows.length || at === 0; at += PAGE_ROWS) {
        mine.pages.set(start + at / PAGE_ROWS, rows.slice(at, at + PAGE_ROWS));
      }
      if (!view.dataset.ready) setZoom(state.zoom ?? bestZoom());
      layOut();
    } catch (error) {
      mine.pages.delete(page);
      tip.textContent = `Coverage can't be read: ${error.message}`;
      tip.hidden = false;
    }
  }

  /** The finest zoom at which all sessions fit into about three screens. */
  function bestZoom() {
    const room = (map.clientWidth - LABEL_WIDTH) * 3;
    const sessions = Math.max(...Object.values(fetched.calendars).map((calendar) => calendar.length));
    if (sessions * ZOOMS.session.width <= room) return "session";
    return (sessions / 5) * ZOOMS.week.width <= room ? "week" : "month";
  }

  function setZoom(zoom) {
    state.zoom = zoom;
    for (const button of zooms.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.zoom === zoom));
    if (parameters.zoom !== undefined || view.dataset.ready) rename("coverage", null, { zoom });
    layOut();
    const isAgain = before?.zoom === zoom && !view.dataset.ready;
    map.scrollLeft = isAgain ? before.left : map.scrollWidth;
    if (isAgain) map.scrollTop = before.top;
    view.dataset.ready = "yes";
  }

  function layOut() {
    const zoom = ZOOMS[state.zoom ?? "session"];
    space.style.width = `${LABEL_WIDTH + columns().length * zoom.width}px`;
    space.style.height = `${HEAD_HEIGHT + total * ROW_HEIGHT}px`;
    // As high as its rows, if they fit.
    map.style.height = `${HEAD_HEIGHT + total * ROW_HEIGHT + 18}px`;
    schedule();
  }

  let painted = null;
  function repaint() {
    painted = null;
    schedule();
  }

  let frame = 0;
  function schedule() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  }

  function draw() {
    const [width, height] = [map.clientWidth, map.clientHeight];
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const paint = (painted ??= Object.fromEntries(["--ground", "--panel", "--line", "--text", "--dim", "--closed", "--accent", ...Object.values(STATES).map((one) => one.colour)].map((name) => [name, colour(name)])));
    context.fillStyle = paint["--ground"];
    context.fillRect(0, 0, width, height);
    const all = columns();
    const cell = ZOOMS[state.zoom ?? "session"].width;
    const firstColumn = Math.max(0, Math.floor(map.scrollLeft / cell));
    const lastColumn = Math.min(all.length, Math.ceil((map.scrollLeft + width - LABEL_WIDTH) / cell));
    const firstRow = Math.max(0, Math.floor(map.scrollTop / ROW_HEIGHT));
    const lastRow = Math.min(total, Math.ceil((map.scrollTop + height - HEAD_HEIGHT) / ROW_HEIGHT));
    for (let index = firstRow; index < lastRow; index += 1) {
      const top = HEAD_HEIGHT + index * ROW_HEIGHT - map.scrollTop;
      const decoded = row(index);
      for (let at = firstColumn; at < lastColumn && decoded; at += 1) {
        const left = LABEL_WIDTH + at * cell - map.scrollLeft;
        drawCell(context, paint, summaryOf(decoded, all[at], at), left, top, cell - 1);
      }
    }
    // The rows that scrolling shows next.
    if (fetched.calendars) [firstRow - PAGE_ROWS / 2, lastRow + PAGE_ROWS / 2].filter((index) => 0 <= index && index < total).forEach(row);
    if (state.selected && all.length > 0) {
      context.strokeStyle = paint["--text"];
      context.lineWidth = 2;
      context.strokeRect(LABEL_WIDTH + state.column * cell - map.scrollLeft - 1, HEAD_HEIGHT + state.row * ROW_HEIGHT - map.scrollTop, cell + 1, ROW_HEIGHT - 1);
    }
    drawLabels(context, paint, firstRow, lastRow, height);
    drawDates(context, paint, all, firstColumn, lastColumn, cell, width);
  }

  function drawCell(context, paint, found, left, top, width) {
    const height = ROW_HEIGHT - 3;
    if (found.sessions === 0) {
      // Before the first and after the last session of a series the map is empty.
      context.fillStyle = found.isClosed ? paint["--closed"] : paint["--ground"];
      context.fillRect(left, top + 1, width, height);
      return;
    }
    const share = found.complete / found.sessions;
    if (share < 1) {
      context.fillStyle = paint[STATES[found.worst].colour];
      context.fillRect(left, top + 1, width, height);
    }
    context.fillStyle = paint["--complete"];
    context.fillRect(left, top + 1 + height * (1 - share), width, height * share);
  }

  function drawLabels(context, paint, firstRow, lastRow, height) {
    context.fillStyle = paint["--ground"];
    context.fillRect(0, HEAD_HEIGHT, LABEL_WIDTH - 4, height);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let index = firstRow; index < lastRow; index += 1) {
      const one = series.series[index];
      const middle = HEAD_HEIGHT + index * ROW_HEIGHT - map.scrollTop + ROW_HEIGHT / 2;
      context.fillStyle = paint["--text"];
      context.fillText(one.ticker.length > 13 ? `${one.ticker.slice(0, 12)}…` : one.ticker, 6, middle, LABEL_WIDTH - 50);
      context.fillStyle = paint["--dim"];
      context.textAlign = "right";
      context.fillText(`${one.interval_minutes}m`, LABEL_WIDTH - 10, middle);
      context.textAlign = "left";
    }
  }

  function drawDates(context, paint, all, firstColumn, lastColumn, cell, width) {
    context.fillStyle = paint["--panel"];
    context.fillRect(0, 0, width, HEAD_HEIGHT);
    context.strokeStyle = paint["--line"];
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, HEAD_HEIGHT - 0.5);
    context.lineTo(width, HEAD_HEIGHT - 0.5);
    context.stroke();
    let [lastYear, lastMonth, free] = ["", "", 0];
    for (let at = firstColumn; at < lastColumn; at += 1) {
      const left = LABEL_WIDTH + at * cell - map.scrollLeft;
      if (left < LABEL_WIDTH - cell) continue;
      const [year, month, day] = dateOfDay(all[at].first).split("-");
      if (year !== lastYear) {
        context.fillStyle = paint["--text"];
        context.fillText(year, left, 10);
        lastYear = year;
      }
      const isNew = month !== lastMonth;
      lastMonth = month;
      // In narrow columns, only the first month of each quarter.
      if (isNew && left >= free && (state.zoom !== "month" || Number(month) % 3 === 1)) {
        const name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Number(month) - 1];
        context.fillStyle = paint["--dim"];
        const text = state.zoom === "session" && free === 0 ? `${name} ${Number(day)}` : name;
        context.fillText(text, left, 24);
        free = left + context.measureText(text).width + 8;
      }
    }
    context.fillStyle = paint["--dim"];
    context.fillText("series", 6, 24);
  }

  /** Row and column below a point of the window. */
  function under(event) {
    const box = map.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (y < HEAD_HEIGHT) return null;
    const index = Math.floor((y - HEAD_HEIGHT + map.scrollTop) / ROW_HEIGHT);
    const column = Math.floor((x - LABEL_WIDTH + map.scrollLeft) / ZOOMS[state.zoom ?? "session"].width);
    if (index < 0 || index >= total) return null;
    return { index, column: x < LABEL_WIDTH || column >= columns().length ? null : column };
  }

  function describe(index, at, x, y) {
    const one = series.series[index];
    const decoded = row(index);
    if (at === null || !decoded) {
      tip.textContent = `${one.ticker}, ${one.interval_minutes}-minute bars, ${one.exchange}\n${count(one.rows)} bars from ${shortTime(one.first)} to ${shortTime(one.last)} UTC\n${count(one.sessions_complete)} of ${count(one.sessions_expected)} sessions complete`;
    } else {
      tip.textContent = lines(one, decoded, columns()[at]).join("\n");
    }
    tip.hidden = false;
    tip.style.left = `${Math.min(x + 14, window.innerWidth - 350)}px`;
    tip.style.top = `${Math.min(y + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
  }

  function open(index, at) {
    const one = series.series[index];
    const column = at === null ? null : columns()[at];
    const dates = column ? { from: dateOfDay(column.first), to: dateOfDay(column.last) } : {};
    location.hash = address("chart", one.ticker, { interval: one.interval_minutes, ...dates });
  }

  const scrolled = () => {
    kept = { zoom: state.zoom, left: map.scrollLeft, top: map.scrollTop };
    schedule();
  };
  map.addEventListener("scroll", scrolled, { passive: true });
  map.addEventListener("mousemove", (event) => {
    const found = under(event);
    if (found) describe(found.index, found.column, event.clientX, event.clientY);
    else tip.hidden = true;
  });
  map.addEventListener("mouseleave", () => (tip.hidden = true));
  map.addEventListener("click", (event) => {
    const found = under(event);
    if (found) open(found.index, found.column);
  });
  map.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const last = columns().length - 1;
    if (event.key === "Enter" && state.selected) open(state.row, state.column);
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [down, right] = state.selected ? moves[event.key] : [0, 0];
    if (!state.selected) state.column = last;
    state.selected = true;
    state.row = Math.max(0, Math.min(total - 1, state.row + down));
    state.column = Math.max(0, Math.min(last, state.column + right));
    bringIntoView();
    schedule();
    const box = map.getBoundingClientRect();
    const cell = ZOOMS[state.zoom ?? "session"].width;
    describe(state.row, state.column, box.left + LABEL_WIDTH + state.column * cell - map.scrollLeft, box.top + HEAD_HEIGHT + state.row * ROW_HEIGHT - map.scrollTop);
  });

  function bringIntoView() {
    const cell = ZOOMS[state.zoom ?? "session"].width;
    const [top, left] = [state.row * ROW_HEIGHT, state.column * cell];
    map.scrollTop = Math.max(Math.min(map.scrollTop, top), top + ROW_HEIGHT - (map.clientHeight - HEAD_HEIGHT));
    map.scrollLeft = Math.max(Math.min(map.scrollLeft, left), left + cell - (map.clientWidth - LABEL_WIDTH));
  }

  const watcher = new ResizeObserver(schedule);
  watcher.observe(map);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", repaint);
  if (fetched.calendars) setZoom(state.zoom ?? bestZoom());
  else row(0);
  return () => {
    watcher.disconnect();
    scheme.removeEventListener("change", repaint);
    cancelAnimationFrame(frame);
  };
}

/** The states of the sessions of a row in a column. */
function summary(decoded, column) {
  const range = column.of[decoded.exchange];
  // Outside the sessions of all its series, nothing is known about an exchange.
  const [first, last] = [decoded.sessions[0], decoded.sessions[decoded.sessions.length - 1]];
  const isClosed = !range && first < column.first && column.last < last;
  const found = { sessions: 0, complete: 0, worst: "c", bars: 0, expected: 0, isClosed };
  if (!range) return found;
  const counts = {};
  for (let at = range[0] - decoded.from; at <= range[1] - decoded.from; at += 1) {
    const code = decoded.states[at];
    if (code === undefined) continue;
    const letter = String.fromCharCode(code);
    found.sessions += 1;
    found.bars += decoded.bars[at];
    found.expected += decoded.expected[at];
    if (letter === "c") found.complete += 1;
    else counts[letter] = (counts[letter] ?? 0) + 1;
  }
  found.worst = Object.keys(counts).sort((a, b) => counts[b] - counts[a])[0] ?? "c";
  return found;
}

/** What is known of a cell. */
function lines(one, decoded, column) {
  const found = summary(decoded, column);
  const [first, last] = [dateOfDay(column.first), dateOfDay(column.last)];
  const when = first === last ? `${weekday(column.first)} ${first}` : `${first} to ${last}`;
  const out = [`${one.ticker}, ${one.interval_minutes}m, ${when}`];
  if (found.sessions === 0) {
    out.push(found.isClosed ? `${one.exchange} is closed` : "not requested, no bars");
    return out;
  }
  const share = `${count(found.bars)} of ${count(found.expected)} bars`;
  if (found.sessions === 1) out.push(`${STATES[found.worst].word}: ${share}`);
  else out.push(`${found.complete} of ${found.sessions} sessions complete, ${share}`, ...(found.worst === "c" ? [] : [`most of the others are ${STATES[found.worst].word}`]));
  const request = decoded.requests.findLast((entry) => entry.first <= last && first <= entry.last);
  if (request) {
    out.push(`requested from ${request.provider} at ${shortTime(request.asked_at)} UTC: ${request.status}`);
    if (request.reason) out.push(request.reason);
  } else {
    out.push("no request: the bars are from files");
  }
  return out;
}

function legend() {
  const entry = (word, name) => {
    const mark = make("i");
    mark.style.background = `var(${name})`;
    return make("span", {}, mark, word);
  };
  return make("div", { class: "legend" }, ...Object.values(STATES).map((one) => entry(one.word, one.colour)), entry("closed", "--closed"));
}
