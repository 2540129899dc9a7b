// A design space: any two columns, all columns side by side, a table; filters and pins link them.
const MORE_IS_BETTER = /use|utilization|bandwidth|hit_rate/;

function designSpace(space, number) {
  const model = spaceModel(space);
  const views = [];
  const notify = () => views.forEach(view => view());
  const id = number ? `space-${number + 1}` : "space";
  const parts = [filterView, scatterView, parallelView, pinView, pointTable].map(make => make(space, model, notify, views));
  const name = page.spaces.length > 1 ? `Designs, ${space.label}` : "Designs";
  notify();
  return section(id, name, spaceTitle(space, model),
    "Drag over the scatter or along an axis to filter; every view follows. Points that no other beats " +
    "in both directions are joined by a line. Pin two designs to see their difference.",
    page.runs.length ? el("ul", {}, space.sentences.map(sentence => el("li", {}, pretty(sentence)))) : null, parts);
}

function spaceModel(space) {
  const column = Object.fromEntries(space.columns.map(each => [each.key, each]));
  const points = space.feasible.map((_, i) => i).filter(i => space.feasible[i] && !space.baseline[i]);
  const measures = space.columns.filter(each => !each.knob && each.unit !== "name");
  const [y, x] = [space.objectives[0], space.objectives[1] || measures[1].key].map(key => (column[key] ? key : measures[0].key));
  const model = { column, points, measures, x, y, filters: new Map(), pins: [], by: space.columns.find(each => each.knob)?.key || "" };
  model.passes = i => [...model.filters].every(([key, [low, high]]) => {
    const value = placeOf(column[key], i);
    return value !== null && value >= low && value <= high;
  });
  model.matching = () => points.filter(model.passes);
  return model;
}

// Where a point lies on a column: its number, or the place of its name among the names.
function placeOf(column, i) {
  const value = column.values[i];
  if (value === null || value === undefined) return null;
  return typeof value === "number" ? value : namesOf(column).indexOf(value);
}

function namesOf(column) {
  column.list = column.list || [...new Set(column.values.filter(value => typeof value === "string" || typeof value === "boolean"))];
  return column.list;
}

const isNamed = column => namesOf(column).length > 0;
const textOf = (column, i) => (column.texts ? column.texts[i] ?? "-" : amountOf(column, column.values[i]));
const amountOf = (column, value) => (column.unit === "share" && value !== null ? percent(value, 1) : si(value, column.unit));

function rangeOf(column, points) {
  const values = points.map(i => placeOf(column, i)).filter(value => value !== null);
  return [Math.min(...values), Math.max(...values)];
}

function spaceTitle(space, model) {
  const own = model.points.length, all = space.feasible.filter((_, i) => !space.baseline[i]).length;
  const front = model.points.filter(i => space.front[i]).length;
  const words = `beaten by no other in ${space.objectives.map(key => model.column[key]?.label || key).join(" and ")}`;
  return own === all ? `${plural(front, "design")} of ${own} ${front === 1 ? "is" : "are"} ${words}`
    : `${own} of ${all} designs run; ${front} of them ${front === 1 ? "is" : "are"} ${words}`;
}

// --- scatter ----------------------------------------------------------------------------------------

function scatterView(space, model, notify, views) {
  const drawing = figure("Scatter of the designs; the table below has all of them",
    width => scatter(space, model, width));
  const frame = el("div", { class: "points", tabindex: 0, role: "application",
    "aria-label": "Scatter. Arrows go from design to design, Enter pins one, Escape clears the filters." }, drawing);
  brush(drawing, frame, model, notify);
  frame.addEventListener("keydown", event => scatterKey(event, space, model, notify));
  const live = el("span", { class: "unseen", role: "status" }), key = el("div");
  views.push(() => {
    drawing.draw();
    key.replaceChildren(colourKey(space, model));
    live.textContent = model.focus === undefined ? "" : pointWords(space, model, model.focus);
  });
  const columns = space.columns.filter(each => !isNamed(each)).map(each => [each.key, each.label]);
  const knobs = [["", "nothing"], ...space.columns.filter(each => each.knob).map(each => [each.key, each.label])];
  const change = name => value => { model[name] = value; notify(); };
  return el("div", {}, el("div", { class: "tools" }, picker("across", columns, model.x, change("x")),
    picker("upwards", columns, model.y, change("y")), picker("mark by", knobs, model.by, change("by"))),
  key, frame, live);
}

function scatter(space, model, width) {
  const [cx, cy] = [model.column[model.x], model.column[model.y]];
  const box = { left: 66, right: width - 20, top: 34, bottom: 380 };
  const shown = space.feasible.map((_, i) => i).filter(i => space.feasible[i] && placeOf(cx, i) !== null && placeOf(cy, i) !== null);
  const own = model.points.filter(i => placeOf(cx, i) !== null && placeOf(cy, i) !== null);
  const x = axisScale(cx, own, [box.left, box.right], boundsOn(space, cx));
  const y = axisScale(cy, own, [box.bottom, box.top], boundsOn(space, cy));
  const far = shown.filter(i => space.baseline[i] && !(inside(x, box.left, box.right, placeOf(cx, i)) && inside(y, box.top, box.bottom, placeOf(cy, i))));
  const xu = axisUnit(x.domain[1], cx.unit), yu = axisUnit(y.domain[1], cy.unit);
  model.scales = { x, y, box };
  const marks = own.map(i => pointMark(space, model, i, x, y)), line = frontLine(model, own, x, y);
  return { height: far.length ? 446 : 424, nodes: [
    axisBelow(x, box, withUnit(cx.label, xu.unit), xu.format), axisLeft(y, box, withUnit(cy.label, yu.unit), yu.format),
    bounds(space, model, x, y, box), line, marks,
    shown.filter(i => space.baseline[i] && !far.includes(i)).map(i => baselineMark(space, model, i, x, y)),
    far.length ? text(0, box.bottom + 58, far.map(i => `${space.baseline[i]}, off this figure: ` +
      `${textOf(cx, i)}, ${textOf(cy, i)}`).join("; "), { class: "soft" }) : [],
    pinLabels(model, x, y), brushBox(model, x, y, box),
  ] };
}

const inside = (scale, a, b, value) => scale(value) >= Math.min(a, b) - 1 && scale(value) <= Math.max(a, b) + 1;

// A scale with some room at its ends; in powers of two or ten where values spread by factors.
function axisScale(column, points, range, more = []) {
  const ends = rangeOf(column, points), near = more.filter(value => value >= ends[0] / 2 && value <= ends[1] * 2);
  const [low, high] = [Math.min(ends[0], ...near), Math.max(ends[1], ...near)];
  if (low > 0 && high / low >= 8) {
    const domain = [low / 1.15, high * 1.15];
    return within(logarithmic(domain, range), domain);
  }
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  const domain = [low - room, high + room];
  return within(linear(domain, range), domain);
}

// A scale that also places what lies outside of its domain: at its ends.
function within(scale, domain) {
  const clipped = value => scale(Math.max(domain[0], Math.min(domain[1], value)));
  return Object.assign(scale, { domain, clipped });
}

function markOf(space, model, i) {
  const column = model.column[model.by];
  if (!column) return ["blue", "circle"];
  const values = [...new Set(model.points.map(point => placeOf(column, point)))].sort((a, b) => a - b);
  const at = values.indexOf(placeOf(column, i));
  return [ORDER[at % ORDER.length], SHAPES[at % SHAPES.length]];
}

function colourKey(space, model) {
  const column = model.column[model.by], seen = new Map();
  if (!column) return "";
  for (const i of [...model.points].sort((a, b) => placeOf(column, a) - placeOf(column, b))) {
    if (!seen.has(placeOf(column, i))) seen.set(placeOf(column, i), i);
  }
  return legend([...seen.values()].slice(0, 24).map(i => [`${column.label} ${textOf(column, i)}`, ...markOf(space, model, i)]));
}

function pointMark(space, model, i, x, y) {
  const [colour, shape] = markOf(space, model, i), passes = model.passes(i);
  const at = [x(placeOf(model.column[model.x], i)), y(placeOf(model.column[model.y], i))];
  const pinned = model.pins.includes(i) || model.focus === i;
  const mark = svg("path", { d: shapePath(shape, ...at, pinned ? 8 : 4.6), fill: paint(colour), "data-point": i,
    class: passes ? null : "dim", stroke: pinned ? "var(--ink)" : "var(--paper)", "stroke-width": pinned ? 2 : 0.7 });
  return withTip(mark, () => facts(pointName(space, i), space.columns.filter(each => !each.knob).slice(0, 6)
    .map(each => [each.label, textOf(each, i)])));
}

const pinLabels = (model, x, y) => model.pins.map((i, at) => text(x(placeOf(model.column[model.x], i)) - 4,
  y(placeOf(model.column[model.y], i)) - 13, "AB"[at], { class: "halo", "font-weight": 700 }));

function baselineMark(space, model, i, x, y) {
  const at = [x(placeOf(model.column[model.x], i)), y(placeOf(model.column[model.y], i))];
  return [svg("path", { d: shapePath("diamond", ...at, 6), fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 1.6 }),
    text(at[0] + 10, at[1] + 4, space.baseline[i], { class: "halo" })];
}

const pointName = (space, i) => space.baseline[i] || space.columns.filter(each => each.knob)
  .map(each => `${each.label} ${textOf(each, i)}`).join(", ") || `design ${i + 1}`;

const pointWords = (space, model, i) => `${pointName(space, i)}: ${model.column[model.x].label} ` +
  `${textOf(model.column[model.x], i)}, ${model.column[model.y].label} ${textOf(model.column[model.y], i)}`;

// Points that no other beats in both columns that are shown, where less is better in both.
function frontLine(model, own, x, y) {
  const [cx, cy] = [model.column[model.x], model.column[model.y]];
  if ([cx, cy].some(column => column.knob || MORE_IS_BETTER.test(column.key)) || cx === cy) return [];
  const sorted = own.filter(model.passes).sort((a, b) => placeOf(cx, a) - placeOf(cx, b) || placeOf(cy, a) - placeOf(cy, b));
  let best = Infinity;
  const front = sorted.filter(i => placeOf(cy, i) < best && ((best = placeOf(cy, i)), true));
  const path = front.map((i, at) => (at ? `H${x(placeOf(cx, i))}V${y(placeOf(cy, i))}` : `M${x(placeOf(cx, i))},${y(placeOf(cy, i))}`));
  return svg("path", { d: path.join("") || "M0,0", fill: "none", stroke: "var(--ink)", "stroke-width": 1.4 });
}

const boundsOn = (space, column) => space.bounds.filter(({ key }) => key === column.key).map(({ value }) => value);

// Constraints on a column that is shown: a dashed line.
function bounds(space, model, x, y, box) {
  return space.bounds.flatMap(({ key, value, text: words }) => {
    const dash = { stroke: "var(--ink)", "stroke-dasharray": "7 4", "stroke-width": 1.3 };
    if (key === model.x && inside(x, box.left, box.right, value)) {
      return [svg("line", { x1: x(value), x2: x(value), y1: box.top, y2: box.bottom, ...dash }),
        text(x(value) - 5, box.top + 12, pretty(words), { "text-anchor": "end", class: "halo" })];
    }
    if (key === model.y && inside(y, box.top, box.bottom, value)) {
      return [svg("line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value), ...dash }),
        text(box.left + 5, y(value) - 5, pretty(words), { class: "halo" })];
    }
    return [];
  });
}

function brushBox(model, x, y, box) {
  const fx = model.filters.get(model.x), fy = model.filters.get(model.y);
  const drag = model.drag;
  if (!drag && !fx && !fy) return [];
  const [left, right] = drag ? [drag[0], drag[2]] : fx ? fx.map(x.clipped) : [box.left, box.right];
  const [top, bottom] = drag ? [drag[1], drag[3]] : fy ? [y.clipped(fy[1]), y.clipped(fy[0])] : [box.top, box.bottom];
  return svg("rect", { x: Math.min(left, right), y: Math.min(top, bottom), width: Math.abs(right - left), height: Math.abs(bottom - top),
    fill: "var(--accent)", "fill-opacity": 0.09, stroke: "var(--accent)", "pointer-events": "none" });
}

function brush(drawing, frame, model, notify) {
  const holder = drawing.querySelector("svg");
  const at = event => {
    const rect = holder.getBoundingClientRect(), size = holder.viewBox.baseVal;
    return [(event.clientX - rect.left) / rect.width * size.width, (event.clientY - rect.top) / rect.height * size.height];
  };
  let start = null, target = null;
  holder.addEventListener("pointerdown", event => {
    [start, target] = [at(event), event.target];
    holder.setPointerCapture(event.pointerId);
  });
  holder.addEventListener("pointermove", event => {
    if (!start) return;
    const now = at(event);
    if (Math.hypot(now[0] - start[0], now[1] - start[1]) < 6 && !model.drag) return;
    hideTip();
    model.drag = [...start, ...now];
    drawing.draw();
  });
  holder.addEventListener("pointerup", () => {
    const { drag } = model, point = target && target.dataset && target.dataset.point;
    start = target = model.drag = null;
    if (drag) setBrush(model, drag);
    else if (point !== undefined) pin(model, Number(point));
    else { model.filters.delete(model.x); model.filters.delete(model.y); }
    notify();
  });
}

function setBrush(model, [x1, y1, x2, y2]) {
  const { x, y } = model.scales, ordered = (a, b) => [Math.min(a, b), Math.max(a, b)];
  model.filters.set(model.x, ordered(x.invert(x1), x.invert(x2)));
  model.filters.set(model.y, ordered(y.invert(y1), y.invert(y2)));
}

function pin(model, i) {
  model.pins = model.pins.includes(i) ? model.pins.filter(each => each !== i) : [...model.pins, i].slice(-2);
}

function scatterKey(event, space, model, notify) {
  const column = model.column[model.x];
  const order = model.matching().sort((a, b) => placeOf(column, a) - placeOf(column, b));
  const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (by && order.length) {
    const now = order.indexOf(model.focus);
    model.focus = order[(now + by + order.length) % order.length];
  } else if (event.key === "Enter" && model.focus !== undefined) pin(model, model.focus);
  else if (event.key === "Escape") model.filters.clear();
  else return;
  event.preventDefault();
  notify();
}
