// Elements, colours, tables: what all views are made of. Names go in as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(node.style, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(9).filter(child => child !== null && child !== undefined));
  return node;
}

const el = (name, attributes, ...children) =>
  build(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) =>
  build(document.createElementNS(SVG, name), attributes, children);

// --- colours --------------------------------------------------------------------------------

const ORDER = ["blue", "vermillion", "green", "orange", "purple", "sky", "yellow", "grey",
  "silver", "black"];
const COLOURS = {
  component: { array: "vermillion", scratchpad: "orange", cpu: "blue", interconnect: "purple",
    dram: "green", vector: "sky", controller: "yellow", serial: "black",
    board: "grey", regulators: "silver" },
  unit: { cpu: "blue", accelerator: "vermillion" },
  phase: page.colours,
  cause: { "dispatch": "purple", "launches": "orange", "conversions": "yellow",
    "layouts and copies": "black", "CPU arithmetic": "blue", "CPU memory traffic": "sky",
    "array arithmetic": "vermillion", "array memory traffic": "green",
    "contention for the memory": "grey" },
  memory: { parameters: "blue", optimizer_state: "green", gradients: "vermillion",
    activations: "orange", inputs: "sky", cache: "purple", copies: "yellow" },
  stage: { gemm: "vermillion", op: "blue", view: "silver", launch: "orange", synchronise: "yellow",
    quantise: "purple", dequantise: "green", begin: "grey", im2col: "sky", transpose: "black" },
};

// The colour of `name` among names of a `kind`; what the tables do not know takes its turn.
function hue(kind, name, place = 0) {
  return (COLOURS[kind] || {})[name] || ORDER[place % ORDER.length];
}

const paint = colour => `var(--mark-${colour})`;
const token = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Black or white, whichever reads better on a colour (WCAG's relative luminance).
function inkOn(hex) {
  const [r, g, b] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map(c => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

// --- marks that differ in shape as well as in colour --------------------------------------------

const SHAPES = ["circle", "square", "triangle", "diamond", "cross", "down", "bar", "plus"];
function shapePath(shape, x, y, r) {
  const s = r * 0.9, t = r * 1.15;
  switch (shape) {
    case "square": return `M${x - s},${y - s}h${2 * s}v${2 * s}h${-2 * s}z`;
    case "triangle": return `M${x},${y - t}L${x + t},${y + s}L${x - t},${y + s}z`;
    case "down": return `M${x},${y + t}L${x + t},${y - s}L${x - t},${y - s}z`;
    case "diamond": return `M${x},${y - 1.3 * r}L${x + 1.3 * r},${y}L${x},${y + 1.3 * r}L${x - 1.3 * r},${y}z`;
    case "cross": { const a = r * 0.4, b = r * 1.2;
      return `M${x - b},${y - b + a}L${x - b + a},${y - b}L${x},${y - a}L${x + b - a},${y - b}L${x + b},${y - b + a}` +
        `L${x + a},${y}L${x + b},${y + b - a}L${x + b - a},${y + b}L${x},${y + a}L${x - b + a},${y + b}L${x - b},${y + b - a}L${x - a},${y}z`; }
    case "plus": { const a = r * 0.4, b = r * 1.25;
      return `M${x - a},${y - b}h${2 * a}v${b - a}h${b - a}v${2 * a}h${a - b}v${b - a}h${-2 * a}v${a - b}h${a - b}v${-2 * a}h${b - a}z`; }
    case "bar": return `M${x - t},${y - r * 0.45}h${2 * t}v${0.9 * r}h${-2 * t}z`;
    default: return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0z`;
  }
}

function swatch(colour, shape = "square") {
  return svg("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" },
    svg("path", { d: shapePath(shape, 7, 7, 5.5), fill: paint(colour) }));
}

// entries: [text, colour, shape, onclick, pressed]
function legend(entries) {
  return el("ul", { class: "legend" }, entries.map(([text, colour, shape, act, pressed]) =>
    el("li", {}, act
      ? el("button", { type: "button", onclick: act, "aria-pressed": String(Boolean(pressed)) },
        swatch(colour, shape), text)
      : [swatch(colour, shape), text])));
}

// --- tips ----------------------------------------------------------------------------------------

const tip = el("div", { id: "tip", role: "status", hidden: true });

function facts(title, pairs) {
  return [el("b", {}, title), el("dl", {}, pairs.filter(([, text]) => text)
    .map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]).flat())];
}

function showTip(event, nodes) {
  tip.replaceChildren(...nodes);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const right = event.clientX + 14 + width > innerWidth;
  const below = event.clientY + 14 + height > innerHeight;
  tip.style.left = `${Math.max(4, right ? event.clientX - width - 10 : event.clientX + 14)}px`;
  tip.style.top = `${Math.max(4, below ? event.clientY - height - 10 : event.clientY + 14)}px`;
}

const hideTip = () => { tip.hidden = true; };

function withTip(node, nodes) {
  node.addEventListener("pointermove", event => showTip(event, nodes()));
  node.addEventListener("pointerleave", hideTip);
  return node;
}

// --- tables ---------------------------------------------------------------------------------------

// columns: {label, of: row => number or text, text?: row => shown, number?: bool, node?: row => node}
function table(caption, columns, rows, options = {}) {
  const order = { column: null, down: true };
  const body = el("tbody"), most = options.most || 100;
  let shown = most;
  const more = el("button", { type: "button", onclick: () => { shown += 10 * most; fill(); } });
  const heads = columns.map((column, place) => el("th",
    { scope: "col", class: column.number ? "number" : column.class, "aria-sort": "none" },
    column.of ? el("button", { type: "button", onclick: () => sort(place) }, column.label)
      : el("span", {}, column.label)));

  function sort(place) {
    order.down = order.column === place ? !order.down : Boolean(columns[place].number);
    order.column = place;
    heads.forEach((head, i) => head.setAttribute("aria-sort",
      i === place ? (order.down ? "descending" : "ascending") : "none"));
    fill();
  }

  function sorted() {
    if (order.column === null) return rows;
    const { of } = columns[order.column], sign = order.down ? -1 : 1;
    return [...rows].sort((a, b) => sign * compare(of(a), of(b)));
  }

  function fill() {
    const list = sorted().slice(0, shown);
    body.replaceChildren(...list.map(row => {
      const line = el("tr", { class: options.chosen && options.chosen(row) ? "chosen" : null },
        columns.map(column => cell(column, row)));
      if (options.each) options.each(line, row);
      return line;
    }));
    more.hidden = rows.length <= shown;
    more.textContent = `Show more of ${rows.length.toLocaleString("en")} rows`;
    whole.dataset.rows = rows.length;
  }

  const whole = el("table", {}, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, heads)), body);
  const frame = el("div", {}, el("div", { class: "scroll", tabindex: 0, role: "region",
    "aria-label": caption }, whole), more);
  fill();
  frame.refill = next => { rows = next || rows; fill(); };
  return frame;
}

function cell(column, row) {
  if (column.node) return el("td", { class: column.class }, column.node(row));
  const text = column.text ? column.text(row) : column.of(row);
  return el("td", { class: column.number ? "number" : column.class }, String(text ?? "-"));
}

function compare(a, b) {
  const none = value => value === null || value === undefined;
  if (none(a) || none(b)) return Number(none(a)) - Number(none(b));
  return typeof a === "string" ? a.localeCompare(String(b), "en", { numeric: true }) : a - b;
}

// A table that is built when somebody opens it.
function tableBelow(label, make) {
  const box = el("details", {}, el("summary", {}, label));
  box.addEventListener("toggle", () => {
    if (box.open && box.childElementCount < 2) box.append(make());
  });
  return box;
}

// --- sections --------------------------------------------------------------------------------------

const sections = [];
const LONG = /^(space|trust|scenario)/; // longer than a sheet of paper

// `name` stands in the bar, `title` says what the section finds.
function section(id, name, title, about, ...children) {
  sections.push([id, name]);
  return el("section", { id, "aria-labelledby": `${id}-title`, class: LONG.test(id) ? "long" : null },
    el("p", { class: "label" }, name), el("h2", { id: `${id}-title` }, title),
    about ? el("p", { class: "about" }, about) : null, children);
}

function command(text) {
  const button = el("button", { type: "button", class: "copy" }, "Copy");
  button.addEventListener("click", () => copy(text, button));
  button.setAttribute("aria-label", `Copy ${text}`);
  return el("div", { class: "command" }, el("code", {}, text), button);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", {}, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function picker(label, options, value, act) {
  const list = el("select", { onchange: event => act(event.target.value) },
    options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  return el("label", {}, label, list);
}

function switcher(label, options, value, act) {
  const buttons = options.map(([key, text]) => el("button",
    { type: "button", "aria-pressed": String(key === value), onclick: () => {
      buttons.forEach((each, i) => each.setAttribute("aria-pressed", String(options[i][0] === key)));
      act(key);
    } }, text));
  return el("div", { class: "group", role: "group", "aria-label": label }, buttons);
}
