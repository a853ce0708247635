// The address of a view: `#/chart/AAPL?from=2025-01-02&to=2025-01-10`.

/** The view in the address, its ticker, and its parameters. */
export function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/");
  const ticker = rest.length > 0 ? decodeURIComponent(rest.join("/")) : null;
  return { view: view || "coverage", ticker, parameters: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

/** The address of a view. */
export function address(view, ticker, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(given).toString();
  return `#/${view}${ticker ? `/${encodeURIComponent(ticker)}` : ""}${query ? `?${query}` : ""}`;
}

/** Replaces the address without showing the view anew. */
export function rename(view, ticker, parameters) {
  history.replaceState(null, "", address(view, ticker, parameters));
}
