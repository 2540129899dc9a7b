// Layers: their time in a step by phase, kind of work, cause or unit; their energy by component.
const LAYER_SPLITS = [["phase", "phase"], ["stage", "kind of work"], ["cause", "cause"], ["unit", "unit"],
  ["component", "energy by component"]];

function layers() {
  const view = { by: "phase" };
  const key = el("div"), holder = el("div");
  const fill = () => {
    const rows = view.by === "component" ? layerEnergy() : layerTimes(view.by);
    const names = [...new Set(rows.flatMap(row => Object.keys(row.parts)))];
    key.replaceChildren(legend(names.map((name, i) => [partName(view.by, name), hue(view.by, name, i), "square"])));
    holder.replaceChildren(layerTable(rows, names, view.by));
  };
  fill();
  onChoice(fill);
  const [first] = layerTimes("phase").sort((a, b) => b.total - a.total);
  const title = first ? `${first.layer || "Work outside of layers"} takes ${percent(first.total, page.runs[0].step.duration)} of a step` : "Layers";
  return section("layers", "Layers", title,
    "Time is what is charged to a layer in one step, conversions and launches included; energy is " +
    "that of the whole run, static power included.",
    el("div", { class: "tools" }, el("span", { class: "group" }, "stacked by",
      switcher("stacked by", LAYER_SPLITS, view.by, by => { view.by = by; fill(); }))),
    key, holder);
}

const partName = (by, name) =>
  (by === "phase" ? page.labels[name] || name : ["unit", "component"].includes(by) ? spoken(name) : name);

function layerTimes(by) {
  const { tasks } = page.runs[0].step, rows = new Map();
  for (let i = 0; i < tasks.length; i++) {
    const row = rows.get(tasks.layer[i]) || { layer: tasks.layer[i], place: rows.size, total: 0, macs: 0,
      dram: 0, parts: {} };
    row.total += tasks.charged[i];
    row.macs += tasks.macs[i];
    row.dram += tasks.dram_bytes[i];
    row.parts[tasks[by][i]] = (row.parts[tasks[by][i]] || 0) + tasks.charged[i];
    rows.set(tasks.layer[i], row);
  }
  return [...rows.values()];
}

const layerEnergy = () => page.runs[0].layers.map((row, place) => ({ layer: row.layer, place,
  total: row.energy_j, macs: row.macs, dram: row.dram_bytes, parts: row.energy_by_component_j }));

function layerTable(rows, names, by) {
  const energy = by === "component", whole = rows.reduce((sum, row) => sum + row.total, 0);
  const most = Math.max(...rows.map(row => row.total)), amount = value => (energy ? si(value, "J") : seconds(value));
  const chosenLayer = selection.kind === "layer" ? selection.value
    : selection.kind === "task" ? page.runs[0].step.tasks.layer[selection.value] : null;
  const sorted = [...rows].sort((a, b) => b.total - a.total);
  return table(energy ? "Energy of each layer in the run" : "Time charged to each layer in one step", [
    { label: "layer", of: row => row.place, node: row => el("button",
      { type: "button", "aria-pressed": String(chosenLayer === row.layer), onclick: () => choose("layer", row.layer) },
      layerName(row.layer)) },
    { label: `by ${energy ? "component" : partLabel(by)}`, node: row => layerStack(row, names, by, most, amount) },
    { label: energy ? "energy" : "time", number: true, of: row => row.total, text: row => amount(row.total) },
    { label: "share", number: true, of: row => row.total, text: row => percent(row.total, whole) },
    { label: energy ? "MACs in the run" : "MACs", number: true, of: row => row.macs, text: row => count(row.macs) },
    { label: energy ? "DRAM in the run" : "DRAM", number: true, of: row => row.dram, text: row => si(row.dram, "B") },
  ], sorted, { most: 40, chosen: row => chosenLayer === row.layer });
}

const partLabel = by => LAYER_SPLITS.find(([key]) => key === by)[1];

function layerStack(row, names, by, most, amount) {
  let from = 0;
  const parts = names.filter(name => row.parts[name]).map(name => {
    const left = from;
    from += row.parts[name];
    return bar(left / most, from / most, hue(by, name, names.indexOf(name)));
  });
  const words = names.filter(name => row.parts[name])
    .map(name => `${partName(by, name)} ${amount(row.parts[name])}`).join(", ");
  const stack = el("span", { class: "stack", role: "img", "aria-label": words }, parts);
  return withTip(stack, () => facts(layerName(row.layer),
    names.filter(name => row.parts[name]).map(name => [partName(by, name), amount(row.parts[name])])));
}
