// A design space with all columns side by side, a line per design.
function parallelView(space, model, notify, views) {
  const axes = [...space.columns.filter(each => each.knob), ...model.measures.filter(each =>
    ["latency_s", "energy_j", "area_total_mm2", "array_use", "average_power_w"].includes(each.key))]
    .filter(each => { const [low, high] = rangeOf(each, model.points); return high > low; });
  if (axes.length < 2) return null;
  const drawing = figure("All columns side by side, a line per design", width => parallel(space, model, axes, width));
  dragAxes(drawing, model, notify);
  views.push(() => drawing.draw());
  return el("div", {}, el("h3", {}, "All columns side by side"),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "all columns side by side" }, drawing));
}

function parallel(space, model, axes, given) {
  const width = Math.max(given, axes.length * (paper ? 70 : 86)), top = 46, bottom = 250, left = 46, right = width - 46;
  const x = linear([0, axes.length - 1], [left, right]);
  const scales = axes.map(column => axisScale(column, model.points, [bottom, top]));
  const path = i => axes.map((column, at) => `${at ? "L" : "M"}${x(at)},${scales[at](placeOf(column, i)).toFixed(1)}`).join("");
  const whole = model.points.filter(i => axes.every(column => placeOf(column, i) !== null));
  model.parallel = { x, scales, axes, top, bottom };
  const group = (points, look) => svg("path", { d: points.map(path).join("") || "M0,0", fill: "none", ...look });
  return { height: 276, nodes: [
    group(whole.filter(i => !model.passes(i)), { stroke: "var(--strong)", opacity: 0.18 }),
    group(whole.filter(i => model.passes(i)), { stroke: paint("blue"), opacity: 0.45 }),
    model.pins.map((i, at) => group([i], { stroke: paint(["vermillion", "green"][at]), "stroke-width": 3, "stroke-dasharray": at ? "9 4" : null })),
    axes.map((column, at) => parallelAxis(space, model, column, x(at), scales[at], top, bottom, at === axes.length - 1, x(1) - x(0))),
  ] };
}

function parallelAxis(space, model, column, at, scale, top, bottom, last, gap) {
  const filter = model.filters.get(column.key), known = [...new Set(model.points.map(i => placeOf(column, i)))].sort((a, b) => a - b);
  const some = column.knob && known.length <= 7 ? known : [known[0], known.at(-1)];
  const first = value => model.points.find(i => placeOf(column, i) === value);
  const most = Math.floor(gap / 7), words = column.label.length > most ? `${column.label.slice(0, most - 1)}…` : column.label;
  return [svg("line", { x1: at, x2: at, y1: top, y2: bottom, stroke: "var(--ink)" }),
    text(at, top - 26, words, { "text-anchor": "middle", "font-weight": 600 }),
    some.map(value => text(at + (last ? -5 : 5), scale(value) + 4, textOf(column, first(value)),
      { class: "halo", "font-size": 11, "text-anchor": last ? "end" : "start" })),
    filter ? svg("rect", { x: at - 9, width: 18, y: scale.clipped(filter[1]) - 2, fill: "var(--accent)", "fill-opacity": 0.35,
      height: scale.clipped(filter[0]) - scale.clipped(filter[1]) + 4 }) : null,
    svg("rect", { x: at - 14, width: 28, y: top - 12, height: bottom - top + 24, fill: "transparent", "data-axis": column.key, style: { cursor: "ns-resize" } })];
}

function dragAxes(drawing, model, notify) {
  const holder = drawing.querySelector("svg");
  const y = event => { const rect = holder.getBoundingClientRect();
    return (event.clientY - rect.top) / rect.height * holder.viewBox.baseVal.height; };
  let grip = null;
  holder.addEventListener("pointerdown", event => {
    const key = event.target.dataset.axis;
    if (!key) return;
    holder.setPointerCapture(event.pointerId);
    grip = { key, y: y(event) };
  });
  holder.addEventListener("pointerup", event => {
    if (!grip) return;
    const { axes, scales } = model.parallel, scale = scales[axes.findIndex(each => each.key === grip.key)];
    const ends = [scale.invert(grip.y), scale.invert(y(event))].sort((a, b) => a - b);
    if (Math.abs(y(event) - grip.y) < 4) model.filters.delete(grip.key);
    else model.filters.set(grip.key, ends);
    grip = null;
    notify();
  });
}
