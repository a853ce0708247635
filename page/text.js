// Numbers, dates and words as a person reads them. Times are seconds since 1970 in UTC.

const NUMBER = new Intl.NumberFormat("en-US");
const PRICE = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 6 });
const SMALL_PRICE = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 });
/** Longer numbers have an exponent. */
const PLAIN_MAX = 1e15;
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
  if (number === null || number === undefined) return "–";
  if (Math.abs(number) >= PLAIN_MAX) return number.toExponential(3);
  return NUMBER.format(Math.abs(number) >= 1000 ? Math.round(number) : number);
}

export function price(number) {
  if (number === null || number === undefined) return "–";
  if (Math.abs(number) >= PLAIN_MAX) return number.toExponential(3);
  return Math.abs(number) >= 0.1 || number === 0 ? PRICE.format(number) : SMALL_PRICE.format(number);
}

/** The smallest distance of two labels of a price axis for prices near `number`. */
export function priceStep(number) {
  const digits = number > 0 ? Math.ceil(-Math.log10(number)) : 0;
  return 10 ** -Math.min(12, Math.max(4, digits + 4));
}

/** A number with its sign and two decimals: `+1.25`. */
export function signed(number) {
  return `${number >= 0 ? "+" : "−"}${Math.abs(number).toFixed(2)}`;
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

const tradingDates = new Map();

/** The trading date of a time at an exchange: the local one, but FOREX begins at 17:00 the day before. */
export function tradingDate(time, { exchange, timezone }) {
  // Dates change at a quarter of an hour.
  const quarter = Math.floor(time / 900);
  const key = `${quarter} ${exchange}`;
  let date = tradingDates.get(key);
  if (date === undefined) {
    date = localTime(quarter * 900 + (exchange === "FOREX" ? 7 * 3600 : 0), timezone).slice(0, 10);
    tradingDates.set(key, date);
  }
  return date;
}

export function utcTime(seconds) {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** `2025-01-02 14:30` of `2025-01-02T14:30:00Z`. */
export function shortTime(text) {
  return text ? text.slice(0, 16).replace("T", " ") : "–";
}
