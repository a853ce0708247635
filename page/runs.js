// Run-length encoded values, and calendars.

/** The values of `390*12,300,390*40`. */
export function values(text, convert) {
  const out = [];
  for (const run of text === "" ? [] : text.split(",")) {
    const [value, times] = run.split("*");
    const converted = convert(value);
    for (let left = times ? Number(times) : 1; left > 0; left -= 1) out.push(converted);
  }
  return out;
}

/** Days since 1970 of distances: the first, then the distance to each next one. */
export function days(distances) {
  let day = 0;
  return distances.map((distance) => (day += distance));
}

/** A row of the coverage document, with its values decoded. */
export function decodeRow(row) {
  return {
    ...row,
    states: values(row.states, (letter) => letter),
    bars: values(row.bars, Number),
    expected: values(row.expected, Number),
  };
}
