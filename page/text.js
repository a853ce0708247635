// Numbers, dates and words as a person reads them. Times are seconds since 1970 in UTC.

const NUMBER = new Intl.NumberFormat("en-US");
const PRICE = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 6 });
const SECONDS_A_DAY = 86400;

/** What a letter of `states` means: its word, its colour in the style, and its place in the legend. */
export const STATES = {
  c: { word: "complete", colour: "--complete" },
  s: { word: "short", colour: "--short" },
  p: { word: "partial", colour: "--partial" },
  e: { word: "empty", colour: "--empty" },
  f: { word: "failed", colour: "--failed" },
  n: { word: "never asked", colour: "--never" },
};

/** The letter of a gap's reason. */
export function letterOf(reason) {
  const letters = { short: "s", partial: "p", empty: "e", failed: "f", never_asked: "n" };
  return letters[reason] ?? "e";
}

export function count(number) {
  return number === null || number === undefined ? "–" : NUMBER.format(number);
}

export function price(number) {
  return number === null || number === undefined ? "–" : PRICE.format(number);
}

export function percent(part, whole) {
  if (!whole) return "–";
  // Not 100 % before all is done.
  return `${(Math.floor((part / whole) * 1000) / 10).toFixed(1)} %`;
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? number : number.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const whole = Math.round(seconds);
  const pad = (number) => String(number).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
}

/** `2025-01-02` of a day since 1970. */
export function dateOfDay(day) {
  return new Date(day * SECONDS_A_DAY * 1000).toISOString().slice(0, 10);
}

/** The day since 1970 of `2025-01-02`. */
export function dayOfDate(date) {
  return Math.round(Date.parse(`${date}T00:00:00Z`) / 1000 / SECONDS_A_DAY);
}

export function weekday(day) {
  return ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][((day % 7) + 7) % 7];
}

const formatters = new Map();

/** `2025-01-02 09:30` in a time zone. */
export function localTime(seconds, timezone) {
  let format = formatters.get(timezone);
  if (!format) {
    const options = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: timezone };
    format = new Intl.DateTimeFormat("en-CA", /** @type {Intl.DateTimeFormatOptions} */ (options));
    formatters.set(timezone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(new Date(seconds * 1000)).map((part) => [part.type, part.value]));
  return `${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}`;
}

export function utcTime(seconds) {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** `2025-01-02 14:30` of `2025-01-02T14:30:00Z`. */
export function shortTime(text) {
  return text ? text.slice(0, 16).replace("T", " ") : "–";
}
