// A design space as text: its filters, two pinned designs, the table of those that pass.
function filterView(space, model, notify, views) {
  const count = el("span", { class: "count", role: "status" }), chips = el("span", { class: "group" });
  const choices = space.columns.flatMap(column => (isNamed(column)
    ? namesOf(column).map((name, only) => ({ column, only, words: `${column.label} ${name}` }))
    : [{ column, words: column.label }]));
  const list = el("select", { "aria-label": "column to filter" }, choices.map(({ words }, i) => el("option", { value: i }, words)));
  const [least, most] = ["at least", "at most"].map(name => el("input", { type: "text", inputmode: "decimal", size: 9, "aria-label": name, placeholder: name }));
  const wrong = el("span", { role: "alert" });
  const add = () => {
    const { column, only } = choices[list.value];
    if (only !== undefined) { model.filters.set(column.key, [only, only]); return notify(); }
    const ends = [least, most].map((box, i) => parsed(column, box.value, i ? Infinity : -Infinity));
    wrong.textContent = ends.some(Number.isNaN) ? `Write a number, such as ${example(column, model)}.` : "";
    if (!wrong.textContent && ends.some(Number.isFinite)) model.filters.set(column.key, ends);
    return notify();
  };
  for (const box of [least, most]) box.addEventListener("keydown", event => { if (event.key === "Enter") add(); });
  views.push(() => {
    const own = model.matching().length;
    count.textContent = `${own} of ${model.points.length} designs`;
    count.dataset.count = own;
    chips.replaceChildren(...[...model.filters].map(([key, ends]) => chip(model, key, ends, notify)));
  });
  return el("div", { class: "tools" }, count, chips, el("span", { class: "group" }, "filter", list, least, most,
    el("button", { type: "button", onclick: add }, "Filter")), wrong,
  el("button", { type: "button", onclick: () => { model.filters.clear(); notify(); } }, "All designs"));
}

const example = (column, model) => (column.texts ? column.texts[model.points[0]]
  : `${digits(rangeOf(column, model.points)[0])}, in ${column.unit === "share" ? "parts of 1" : column.unit || "plain numbers"}`);

// "1.5e-3" or "1.5 m", a number, perhaps with an SI prefix; or a value of the column, "64 KiB".
function parsed(column, words, missing) {
  const plain = words.replace(/\s/g, ""), same = (column.texts || []).findIndex(each => each && each.replace(/\s/g, "") === plain);
  if (!plain) return missing;
  if (same >= 0) return column.values[same];
  const match = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)([TGMkmµunpf]?)$/.exec(plain);
  if (!match) return NaN;
  const [factor] = PREFIXES.find(([, prefix]) => prefix === match[2].replace("u", "µ")) || [1];
  return Number(match[1]) * factor;
}

function chip(model, key, [low, high], notify) {
  const column = model.column[key];
  if (isNamed(column)) return chipButton(namesOf(column).filter((_, i) => i >= low && i <= high).join(" or "), model, column, notify);
  const shown = value => (column.knob ? digits(value) : amountOf(column, value));
  const ends = [Number.isFinite(low) ? `≥ ${shown(low)}` : "", Number.isFinite(high) ? `≤ ${shown(high)}` : ""].filter(Boolean).join(", ");
  return chipButton(ends, model, column, notify);
}

const chipButton = (words, model, column, notify) => el("button", { type: "button",
  "aria-label": `${column.label} ${words} ✕: remove this filter`,
  onclick: () => { model.filters.delete(column.key); notify(); } }, `${column.label} ${words} ✕`);

function pinView(space, model, notify, views) {
  const holder = el("div", { "aria-live": "polite" });
  views.push(() => holder.replaceChildren(...pinned(space, model)));
  return holder;
}

function pinned(space, model) {
  const [a, b] = model.pins;
  if (a === undefined) return [];
  if (b === undefined) return [el("p", {}, `Pinned: ${pointName(space, a)}. Pin another design to see their difference.`)];
  const rows = space.columns.filter(each => each.values[a] !== each.values[b]);
  const over = row => (typeof row.values[a] === "number" && row.values[a] ? row.values[b] / row.values[a] : null);
  return [el("h3", {}, "Two designs"), table(`A: ${pointName(space, a)}. B: ${pointName(space, b)}. Other columns are equal.`, [
    { label: "column", of: row => row.label },
    { label: "A", number: true, of: row => row.values[a], text: row => textOf(row, a) },
    { label: "B", number: true, of: row => row.values[b], text: row => textOf(row, b) },
    { label: "B / A", number: true, of: over, text: row => (over(row) === null ? "-" : ratio(over(row))) },
  ], rows)];
}

function pointTable(space, model, notify, views) {
  const knobs = space.columns.filter(each => each.knob), measures = model.measures.slice(0, 7);
  const columns = [
    { label: "pin", class: "pin", node: i => el("button", { type: "button", "aria-pressed": String(model.pins.includes(i)),
      "aria-label": `pin ${pointName(space, i)}`, onclick: () => { pin(model, i); notify(); } }, model.pins.includes(i) ? "Pinned" : "Pin") },
    { label: "front", of: i => (space.front[i] ? "front" : "") },
    ...[...knobs, ...measures].map(each => ({ label: each.label, number: !isNamed(each), of: i => each.values[i], text: i => textOf(each, i) })),
  ];
  const goal = model.column[space.objectives[0]] || measures[0];
  const sorted = () => model.matching().sort((a, b) => goal.values[a] - goal.values[b]);
  const whole = table(`Designs that pass the filters, by ${goal.label}`, columns, sorted(), { most: 15, chosen: i => model.pins.includes(i) });
  views.push(() => whole.refill(sorted()));
  const out = space.feasible.map((_, i) => i).filter(i => !space.feasible[i]);
  return el("div", { class: "designs" }, el("h3", {}, "Designs"), whole, out.length ? tableBelow(`Designs that cannot run (${out.length})`, () =>
    table("Designs that cannot run, and why", [
      ...knobs.map(each => ({ label: each.label, of: i => each.values[i], text: i => textOf(each, i) })),
      { label: "reason", class: "long", of: i => space.reason[i] }], out)) : null);
}
