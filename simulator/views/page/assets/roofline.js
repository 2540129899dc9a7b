// The roofline: GEMMs by layer under the roofs of their units, and of DRAM and scratchpad.
// After Williams, Waterman, Patterson, CACM 52(4), 2009; in MACs instead of FLOPs.
const MOST_MARKS = 400;
const PEAKS = { cpu: "CPU", accelerator: "array" };
const UNIT_SHAPES = { cpu: "circle", accelerator: "square" };
const LEVELS = [["dram_bytes", "DRAM"], ["scratchpad_bytes", "scratchpad"]];

function roofline() {
  const run = page.runs[0], view = { level: "dram_bytes" };
  const points = products(run);
  if (!points.length) return null;
  const drawing = figure("Roofline: rate against arithmetic intensity; the table below has its points",
    width => roofPlot(run, points, view, width));
  onChoice(() => drawing.draw());
  const levels = LEVELS.filter(([key]) => points.some(point => point[key]) &&
    run.step.roofs.some(roof => roof.name === (key === "dram_bytes" ? "DRAM" : "scratchpad")));
  return section("roofline", "Roofline", roofTitle(run, points),
    "Each mark stands for the GEMMs of a layer in a phase: how fast they ran against how often they " +
    "use a byte. Below a slope the memory limits, below a level the arithmetic." +
    (points.length > MOST_MARKS ? ` Of ${points.length} the ${MOST_MARKS} are drawn that take longest.` : ""),
    el("div", { class: "tools" }, el("span", { class: "group" }, "bytes of",
      switcher("bytes of", levels, view.level, key => { view.level = key; drawing.draw(); }))),
    roofKey(points), drawing, roofTable(points));
}

// GEMMs of one layer and phase on one unit, summed.
function products(run) {
  const { tasks } = run.step, sums = new Map();
  for (let i = 0; i < tasks.length; i++) {
    const time = tasks.end[i] - tasks.start[i];
    if (!tasks.macs[i] || !time) continue;
    const key = JSON.stringify([tasks.unit[i], tasks.layer[i], tasks.phase[i]]);
    const point = sums.get(key) || { unit: tasks.unit[i], layer: tasks.layer[i], phase: tasks.phase[i],
      macs: 0, time: 0, dram_bytes: 0, scratchpad_bytes: 0, rows: [] };
    point.macs += tasks.macs[i];
    point.time += time;
    point.dram_bytes += tasks.dram_bytes[i];
    point.scratchpad_bytes += tasks.scratchpad_bytes[i];
    point.rows.push(i);
    sums.set(key, point);
  }
  return [...sums.values()].sort((a, b) => b.time - a.time);
}

const rateOf = point => point.macs / point.time * PS;

// The unit whose GEMMs take longest, against its peak where that is known.
function roofTitle(run, points) {
  const sums = new Map();
  for (const { unit, macs, time } of points) {
    const sum = sums.get(unit) || { unit, macs: 0, time: 0 };
    sums.set(unit, { unit, macs: sum.macs + macs, time: sum.time + time });
  }
  const top = [...sums.values()].reduce((a, b) => (b.time > a.time ? b : a)), name = PEAKS[top.unit];
  const roof = name && run.step.roofs.find(each => each.name.startsWith(name));
  const reached = `GEMMs on the ${spoken(top.unit)} reach`;
  return roof ? `${reached} ${percent(rateOf(top), roof.per_s)} of its peak of ${si(roof.per_s, "MAC/s")}`
    : `${reached} ${si(rateOf(top), "MAC/s")}`;
}

function roofPlot(run, points, view, width) {
  const flat = run.step.roofs.filter(roof => roof.unit === "MAC/s");
  const slopes = run.step.roofs.filter(roof => roof.unit === "B/s");
  const box = { left: 62, right: width - 14, top: 30, bottom: 370 };
  const seen = points.filter(point => point[view.level]).slice(0, MOST_MARKS);
  const xs = [...seen.map(point => point.macs / point[view.level]),
    ...slopes.flatMap(slope => flat.map(roof => roof.per_s / slope.per_s))];
  const ys = [...points.map(rateOf), ...flat.map(roof => roof.per_s)];
  const x = logarithmic([Math.min(...xs) / 3, Math.max(...xs) * 4], [box.left, box.right]);
  const y = logarithmic([Math.min(...ys) / 2, Math.max(...ys) * 2.2], [box.bottom, box.top]);
  const label = view.level === "dram_bytes" ? "DRAM" : "scratchpad";
  return { height: 420, nodes: [
    axisBelow(x, box, `arithmetic intensity (MAC per byte of ${label} traffic)`, digits),
    axisLeft(y, box, "rate (MAC/s)", count, 6),
    flat.map(roof => level(roof, x, y, box, slopes)),
    slopes.map(slope => slant(slope, x, y, box, flat, slope.name === label)),
    seen.map(point => roofMark(point, view, x, y)),
    roofLabels(seen, view, x, y, box),
  ] };
}

// A bound on arithmetic, from where the fastest memory allows it.
function level(roof, x, y, box, slopes) {
  const from = Math.max(box.left, x(roof.per_s / Math.max(...slopes.map(slope => slope.per_s), 1)));
  const words = `${roof.name}: ${si(roof.per_s, "MAC/s")}`;
  return [svg("line", { x1: from, x2: box.right, y1: y(roof.per_s), y2: y(roof.per_s),
    stroke: "var(--ink)", "stroke-width": 1.5 }),
  text(box.right - 4, y(roof.per_s) - 6, words, { "text-anchor": "end", class: "halo" })];
}

function slant(slope, x, y, box, flat, active) {
  const top = Math.max(...flat.map(roof => roof.per_s)), end = top / slope.per_s;
  const bottom = y.invert(box.bottom), start = Math.max(x.invert(box.left), bottom / slope.per_s);
  if (start >= end) return [];
  const a = [x(start), y(start * slope.per_s)], b = [x(end), y(top)];
  const angle = Math.atan2(b[1] - a[1], b[0] - a[0]) * 180 / Math.PI;
  const part = slope.name === "DRAM" ? 0.3 : 0.12;
  const at = [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part];
  return [svg("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], stroke: "var(--ink)",
    "stroke-width": active ? 1.5 : 1, "stroke-dasharray": slope.name === "DRAM" ? null : "6 4",
    opacity: active ? 1 : 0.45 }),
  text(at[0], at[1] - 7, `${slope.name}: ${si(slope.per_s, "B/s")}`,
    { transform: `rotate(${angle} ${at[0]} ${at[1]})`, class: active ? "halo" : "halo soft" })];
}

function roofMark(point, view, x, y) {
  const seen = point.rows.some(i => matches(0, i));
  const at = [x(point.macs / point[view.level]), y(rateOf(point))];
  const mark = svg("path", { d: shapePath(UNIT_SHAPES[point.unit] || "diamond", ...at, 6),
    fill: paint(hue("phase", point.phase)), stroke: "var(--paper)", "stroke-width": 1,
    class: seen ? null : "dim", onclick: () => choose("layer", point.layer) });
  return withTip(mark, () => facts(`${layerName(point.layer)}, ${point.phase}`, [
    ["unit", spoken(point.unit)], ["rate", si(rateOf(point), "MAC/s")],
    ["intensity", `${digits(point.macs / point[view.level])} MAC per byte`],
    ["time in a step", seconds(point.time)], ["MACs", count(point.macs)],
    ["DRAM", si(point.dram_bytes, "B")], ["scratchpad", si(point.scratchpad_bytes, "B")]]));
}

function roofLabels(points, view, x, y, box) {
  const labels = points.filter(point => point.layer).map(point => {
    const width = 6.6 * point.layer.length, at = x(point.macs / point[view.level]) + 9;
    const left = at + width > box.right ? at - width - 18 : at;
    return { x: left, y: y(rateOf(point)) + 4, width, words: point.layer,
      seen: point.rows.some(i => matches(0, i)) };
  });
  return spread(labels.filter(label => label.seen)).map(label =>
    text(label.x, label.y, label.words, { class: "halo", "pointer-events": "none" }));
}

function roofKey(points) {
  const phases = [...new Set(points.map(point => point.phase))];
  const units = [...new Set(points.map(point => point.unit))];
  return legend([
    ...phases.map(phase => [page.labels[phase] || phase, hue("phase", phase), "square",
      () => choose("phase", phase), false]),
    ...units.map(unit => [`on the ${spoken(unit)}`, "grey", UNIT_SHAPES[unit] || "diamond"])]);
}

function roofTable(points) {
  return tableBelow("Roofline as a table", () => table("GEMMs of each layer and phase in one step", [
    { label: "layer", of: point => layerName(point.layer) }, { label: "phase", of: point => point.phase },
    { label: "unit", of: point => spoken(point.unit) },
    { label: "rate", number: true, of: rateOf, text: point => si(rateOf(point), "MAC/s") },
    { label: "MAC per DRAM byte", number: true, of: point => (point.dram_bytes ? point.macs / point.dram_bytes : null),
      text: point => (point.dram_bytes ? digits(point.macs / point.dram_bytes) : "-") },
    { label: "MAC per scratchpad byte", number: true,
      of: point => (point.scratchpad_bytes ? point.macs / point.scratchpad_bytes : null),
      text: point => (point.scratchpad_bytes ? digits(point.macs / point.scratchpad_bytes) : "-") },
    { label: "time", number: true, of: point => point.time, text: point => seconds(point.time) },
  ], points));
}
