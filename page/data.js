// The documents: from the server, or from the report that they are in.
import { tradingDate } from "./text.js";

const embedded = document.getElementById("data");
/** Whether the page is a report, which never changes. */
export const isReport = embedded !== null;

let whole = null;

/** The documents inside a report. */
async function unpacked() {
  const text = atob(embedded.textContent.trim());
  const packed = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/**
 * The document `name`. Parameters are those of the server's address.
 * @param {string} name
 * @param {Record<string, any>} parameters
 */
export async function load(name, parameters = {}) {
  if (isReport) {
    whole ??= unpacked();
    const documents = await whole;
    if (name !== "bars") return documents[name];
    return barsOf(parameters.store ? documents.compared_bars : documents.bars, parameters);
  }
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null));
  const response = await fetch(`/api/${name}?${query}`, { headers: { accept: "application/json" } });
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new Error(body?.error ?? `the server responded with ${response.status}`);
  }
  return response.json();
}

/** The findings of a series, with times in seconds; none if the store wasn't audited. */
export async function findingsOf(ticker, interval) {
  const document = await load("findings", { ticker, interval }).catch(() => null);
  const own = (document?.findings ?? []).filter((found) => found.ticker === ticker && found.interval_minutes === interval);
  return own.map((found) => ({ ...found, first: Date.parse(found.first) / 1000, last: Date.parse(found.last) / 1000 }));
}

const COLUMNS = ["open", "high", "low", "close", "volume"];
const MINUTES = [1, 5, 15, 30, 60];

/**
 * What the server would respond, from the bars in a report.
 * @param {any[]} documents
 * @param {Record<string, any>} parameters
 */
function barsOf(documents, { ticker, interval, from, to, max, resolution }) {
  const found = documents.find((document) => document.ticker === ticker && document.interval_minutes === Number(interval));
  if (!found) throw new Error(`the report has no bars of ${ticker}: it has the newest days only (--max-bars)`);
  const sessions = found.sessions ?? [];
  const last = to ?? found.to;
  const before = sessions.filter((session) => session.date <= last);
  const wanted = from ?? before[Math.max(0, before.length - 5)]?.date ?? found.from;
  // Older bars aren't in the report.
  const first = wanted < found.from ? found.from : wanted;
  const cut = { ...found, from: first, to: last, isCut: wanted < found.from };
  cut.sessions = sessions.filter((session) => first <= session.date && session.date <= last);
  cut.lacking = found.lacking.filter((gap) => first <= gap.session && gap.session <= last);
  cut.rejected = found.rejected.filter((one) => first <= one.session && one.session <= last);
  const isInside = (time) => {
    const date = tradingDate(time, found);
    return first <= date && date <= last;
  };
  const inside = found.time.map((time, index) => (isInside(time) ? index : -1)).filter((index) => index >= 0);
  cut.conflicts = found.conflicts.filter(isInside);
  cut.splits = found.splits.filter((split) => isInside(split.time));
  cut.time = inside.map((index) => found.time[index]);
  for (const column of COLUMNS) cut[column] = inside.map((index) => found[column][index]);
  return resampled(cut, Number(max), resolution ?? interval);
}

/** Longer bars, each session on its own grid, so that there are at most `max`, and none is shorter than
 * `atLeast`. */
function resampled(document, max, atLeast) {
  const stored = document.interval_minutes;
  const { time, sessions } = document;
  const isLong = Number.isNaN(Number(atLeast));
  let step = isLong ? undefined : MINUTES.find((minutes) => minutes >= stored && (stored !== 1 || minutes >= Number(atLeast)) && (time.length * stored) / minutes + (minutes > stored ? sessions.length : 0) <= max);
  if (step === stored) return { ...document, resolution: stored };
  if (stored !== 1) step = undefined;
  const out = { ...document, resolution: step ?? "day", time: [], open: [], high: [], low: [], close: [], volume: [] };
  if (step === undefined) out.sessions = null;
  const opens = new Map(sessions.map((session) => [session.date, session.open]));
  let bucket = null;
  for (let index = 0; index < time.length; index += 1) {
    const date = tradingDate(time[index], document);
    const [open, seconds] = [opens.get(date) ?? 0, step * 60];
    const next = step === undefined ? date : open + Math.floor((time[index] - open) / seconds) * seconds;
    if (next !== bucket) {
      bucket = next;
      out.time.push(step === undefined ? time[index] : next);
      for (const column of COLUMNS) out[column].push(document[column][index]);
      continue;
    }
    const last = out.time.length - 1;
    out.high[last] = Math.max(out.high[last], document.high[index]);
    out.low[last] = Math.min(out.low[last], document.low[index]);
    out.close[last] = document.close[index];
    out.volume[last] += document.volume[index];
  }
  return out;
}
