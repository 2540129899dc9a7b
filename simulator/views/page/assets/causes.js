// What limits the step: its critical path by cause, and changes of the machine that were simulated.
function limits() {
  const run = page.runs[0], { causes, duration } = run.step;
  const largest = causes.reduce((a, b) => (b.ps > a.ps ? b : a), causes[0]);
  if (!largest) return null;
  const rows = el("div", { class: "bars" });
  const fill = () => rows.replaceChildren(...waterfall(causes, duration));
  fill();
  onChoice(fill);
  return section("limits", "Limits",
    `${percent(largest.ps, duration)} of a step of ${seconds(duration)} goes to ${largest.name}`,
    "Every moment of the step is charged to the one task that the end of the step waits for. A " +
    "bar begins where the one above it ends. Choose a cause to see its tasks in all views.",
    rows, causeTable(causes, duration), changes(run));
}

function waterfall(causes, duration) {
  let start = 0;
  const rows = causes.map(({ name, ps }) => {
    const from = start / duration, to = (start + ps) / duration;
    start += ps;
    return causeRow(name, from, to, ps, duration);
  });
  return [...rows, el("div", { class: "row total" }, el("span", { class: "what" }, "whole step"),
    el("span", { class: "track" }, bar(0, 1, "grey")),
    el("span", { class: "amount" }, seconds(duration)))];
}

function causeRow(name, from, to, ps, duration) {
  const dim = selection.kind === "cause" && selection.value !== name ? "dim" : "";
  return el("div", { class: `row ${isChosen("cause", name) ? "chosen" : ""}` },
    el("button", { type: "button", class: "what", "aria-pressed": String(isChosen("cause", name)),
      onclick: () => choose("cause", name) }, name),
    el("span", { class: `track ${dim}` }, bar(from, to, hue("cause", name))),
    el("span", { class: "amount" }, seconds(ps), " ", el("small", {}, percent(ps, duration))));
}

function causeTable(causes, duration) {
  return tableBelow("Causes as a table", () => table("Time charged to each cause in one step", [
    { label: "cause", of: row => row.name },
    { label: "time", number: true, of: row => row.ps, text: row => seconds(row.ps) },
    { label: "share", number: true, of: row => row.ps, text: row => percent(row.ps, duration) },
  ], causes));
}

function changes(run) {
  if (!page.changes.length) return null;
  const duration = run.step.duration;
  const rows = page.changes.filter(change => change.step_ps < 0.99 * duration).slice(0, 5);
  if (!rows.length) return el("p", {}, "None of the changes that were simulated makes the step 1 % shorter.");
  return [el("h3", {}, "What would help most"),
    el("p", { class: "about" }, "Each change was simulated by itself: bars are the step that is left."),
    el("div", { class: "bars" }, rows.map(change => el("div", { class: "row" },
      el("span", { class: "what" }, change.name),
      el("span", { class: "track" }, bar(0, 1, "silver", { style: { opacity: .35 } }),
        bar(0, change.step_ps / duration, "blue")),
      el("span", { class: "amount" }, seconds(change.step_ps), " ",
        el("small", {}, `${ratio(duration / change.step_ps)} speedup`)),
      el("div", { class: "under" }, change.setting ? command(change.setting)
        : el("span", {}, "a limit to measure against: no setting does this"))))),
    tableBelow("Changes as a table", () => table("Changes of the machine, each simulated", [
      { label: "change", of: row => row.name },
      { label: "setting", of: row => row.setting || "", text: row => row.setting || "no setting does this" },
      { label: "step", number: true, of: row => row.step_ps, text: row => seconds(row.step_ps) },
      { label: "speedup", number: true, of: row => duration / row.step_ps, text: row => ratio(duration / row.step_ps) },
      { label: "energy", number: true, of: row => row.energy_j, text: row => si(row.energy_j, "J") },
    ], page.changes))];
}
