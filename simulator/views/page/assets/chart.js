// Scales and axes of the figures that are drawn by hand, and when they are drawn anew.
function linear(domain, range) {
  const [a, b] = domain, [c, d] = range, k = b === a ? 0 : (d - c) / (b - a);
  const scale = value => c + (value - a) * k;
  scale.invert = at => (k ? a + (at - c) / k : a);
  scale.ticks = count => linearTicks(a, b, count);
  return scale;
}

function logarithmic(domain, range) {
  const inner = linear(domain.map(Math.log10), range);
  const scale = value => inner(Math.log10(value));
  scale.invert = at => 10 ** inner.invert(at);
  scale.ticks = count => logTicks(domain, count);
  return scale;
}

function linearTicks(low, high, count) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(each => each * power).find(each => each >= rough);
  const first = Math.ceil(low / step - 1e-9), ticks = [];
  for (let i = first; i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

function logTicks([low, high], count) {
  const from = Math.ceil(Math.log10(low) - 1e-9), to = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((to - from + 1) / count)), ticks = [];
  if (to - from < 1) return linearTicks(low, high, count);
  for (let power = from; power <= to; power += step) ticks.push(10 ** power);
  return ticks;
}

// A figure that fills the width it has: `paintIt(width)` returns the nodes of an SVG and its height.
function figure(label, paintIt, ...rest) {
  const holder = svg("svg", { role: "img", "aria-label": label });
  const frame = el("figure", {}, holder, rest);
  frame.draw = (given = 0) => {
    const width = Math.max(240, Math.floor(given || frame.clientWidth || 700));
    const { height, nodes } = paintIt(width);
    holder.setAttribute("viewBox", `0 0 ${width} ${height}`);
    holder.replaceChildren(...nodes.flat(9).filter(Boolean));
  };
  onWidth(frame);
  return frame;
}

const drawn = new Set();
const watcher = new ResizeObserver(entries => {
  for (const { target, contentRect } of entries) {
    const width = Math.round(contentRect.width);
    if (width && target.lastWidth !== width) {
      target.lastWidth = width;
      target.draw();
    }
  }
});

function onWidth(frame) {
  drawn.add(frame);
  watcher.observe(frame);
}

// Whether the page is about to be printed: nothing on paper can be scrolled.
let paper = false;

// All figures again: at another theme, or at the width of paper.
function redraw(width = 0) {
  for (const frame of drawn) frame.draw(width);
}

const text = (x, y, words, attributes = {}) =>
  svg("text", { x, y, "font-size": 12, ...attributes }, words);

// An axis below or left of a plot: lines across it, and a label that has the unit.
function axisBelow(scale, box, label, format, count) {
  const ticks = scale.ticks(count ?? Math.max(2, Math.floor((box.right - box.left) / 90)));
  return [
    ticks.map(tick => svg("line", { x1: scale(tick), x2: scale(tick), y1: box.top, y2: box.bottom,
      stroke: "var(--line)" })),
    ticks.map(tick => text(scale(tick), box.bottom + 16, format(tick),
      { "text-anchor": "middle", class: "soft" })),
    text((box.left + box.right) / 2, box.bottom + 36, label, { "text-anchor": "middle" }),
  ];
}

function axisLeft(scale, box, label, format, count) {
  const ticks = scale.ticks(count ?? Math.max(2, Math.floor((box.bottom - box.top) / 55)));
  return [
    ticks.map(tick => svg("line", { x1: box.left, x2: box.right, y1: scale(tick), y2: scale(tick),
      stroke: "var(--line)" })),
    ticks.map(tick => text(box.left - 7, scale(tick) + 4, format(tick),
      { "text-anchor": "end", class: "soft" })),
    text(box.left, box.top - 10, label, { "text-anchor": "start" }),
  ];
}

// The unit of an axis: one prefix for all its ticks.
function axisUnit(largest, unit) {
  if (unit === "share") return { format: value => digits(100 * value), unit: "%" };
  const [factor, prefix] = prefixOf(largest, unit);
  const shown = unit === "mm2" ? "mm²" : unit;
  return { format: value => digits(value / factor), unit: `${prefix}${shown}` };
}

const withUnit = (label, unit) => (unit ? `${label} (${unit})` : label);

// Keep labels that overlap none before them.
function spread(labels) {
  const taken = [];
  return labels.filter(({ x, y, width, height = 14 }) => {
    const own = [x, y - height, x + width, y];
    const free = taken.every(([a, b, c, d]) => own[2] < a || own[0] > c || own[3] < b || own[1] > d);
    if (free) taken.push(own);
    return free;
  });
}

// Levels of several names as one stack: moments, and for each of them a sum per name.
function stacked(lanes) {
  const names = Object.keys(lanes);
  const at = [...new Set(names.flatMap(name => lanes[name].at))].sort((a, b) => a - b);
  const rows = names.map(name => {
    const { at: own, value } = lanes[name];
    let place = -1;
    return at.map(moment => {
      while (place + 1 < own.length && own[place + 1] <= moment) place++;
      return place < 0 ? 0 : Math.max(0, value[place]);
    });
  });
  return { names, at, rows, tops: at.map((_, i) => rows.reduce((sum, row) => sum + row[i], 0)) };
}
