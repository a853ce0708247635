// The targets view: what each table of sync and push lacked when it was last seen.
import { count, shortTime } from "./text.js";
import { make, table } from "./dom.js";
import { load } from "./data.js";

export async function showTargets(view) {
  const { targets } = await load("targets");
  if (targets.length === 0) {
    view.append(make("p", { class: "note" }, "The store has no targets yet: backfill sync and backfill push create one"));
    return;
  }
  const list = make("div", { class: "scroll" });
  for (const target of targets) {
    const lacked = target.series.reduce((sum, one) => sum + one.rows, 0);
    const incomplete = target.series.filter((one) => one.rows > 0);
    list.append(make("h3", {}, target.target), make("p", { class: "note" }, `${count(target.series.length)} series, ${count(lacked)} rows not there when it was last seen`));
    if (incomplete.length > 0) {
      list.append(table([["ticker"], ["interval"], ["missing rows", "number"], ["last seen (UTC)"]], incomplete.map((one) => [one.ticker, `${one.interval_minutes}m`, count(one.rows), shortTime(one.seen_at)])));
    }
  }
  view.append(list);
}
