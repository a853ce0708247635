// The runs view: what each run did, newest first.
import { count, duration, shortTime } from "./text.js";
import { make, table, tag } from "./dom.js";
import { load } from "./data.js";

const COLOURS = { ok: "--complete", running: "--accent", killed: "--failed", failed: "--failed", partial: "--short", conflict: "--short", quota: "--partial", interrupted: "--empty" };

export async function showRuns(view) {
  const document = await load("runs");
  const rows = document.runs.toReversed().map((run) => {
    const totals = run.summary?.totals ?? {};
    const skipped = totals.skipped_identical === undefined ? null : totals.skipped_identical + (totals.skipped_restated ?? 0);
    const seconds = run.finished_at ? (Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000 : null;
    const cut = run.left_out > 0 ? make("p", { class: "note" }, `${count(run.left_out)} entries of long lists are left out; backfill status --runs --format json has them`) : null;
    const whole = run.summary ? make("details", {}, make("summary", {}, "JSON"), cut, make("pre", {}, JSON.stringify(run.summary, null, 2))) : "–";
    return [shortTime(run.started_at), run.command, tag(run.status, COLOURS[run.status] ?? "--empty"), duration(seconds), count(totals.requests), count(totals.committed), count(skipped), count(totals.rejected), run.summary?.exit_code ?? "–", whole];
  });
  view.append(rows.length === 0 ? make("p", { class: "note" }, "No run has written into the store.") : make("div", { class: "scroll" },
    table([["started (UTC)"], ["command"], ["status"], ["time", "number"], ["requests", "number"], ["inserted", "number"], ["skipped", "number"], ["rejects", "number"], ["exit code", "number"], ["summary", "wrap"]], rows)));
}
