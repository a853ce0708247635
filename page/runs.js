// Run-length encoded values, and calendars.

/** The values of `390*12,300,390*40`. */
export function values(text, convert) {
  const runs = (text === "" ? [] : text.split(",")).map((run) => run.split("*"));
  const out = new Uint32Array(runs.reduce((sum, [, times]) => sum + Number(times ?? 1), 0));
  let at = 0;
  for (const [value, times] of runs) {
    const end = at + Number(times ?? 1);
    out.fill(convert(value), at, end);
    at = end;
  }
  return out;
}

/** Days since 1970 of distances: the first, then the distance to each next one. */
export function days(distances) {
  let day = 0;
  return distances.map((distance) => (day += distance));
}

/** A row of the coverage document, with its values decoded. A state is the code of its letter. */
export function decodeRow(row) {
  return {
    ...row,
    states: values(row.states, (letter) => letter.charCodeAt(0)),
    bars: values(row.bars, Number),
    expected: values(row.expected, Number),
  };
}
