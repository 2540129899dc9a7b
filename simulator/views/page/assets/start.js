// The page: its bar, its sections in their order, the selection, the theme.
function chosenBar() {
  const words = el("span", { role: "status" }), layer = el("button", { type: "button" });
  const holder = el("div", { class: "chosen-bar", hidden: true }, el("div", {}, words, layer,
    el("button", { type: "button", onclick: () => choose(selection.kind, selection.value) }, "Clear (Esc)")));
  layer.addEventListener("click", () => choose("layer", page.runs[0].step.tasks.layer[selection.value]));
  onChoice(() => {
    holder.hidden = selection.kind === null;
    layer.hidden = selection.kind !== "task";
    if (selection.kind !== null) words.textContent = chosenWords();
    if (selection.kind === "task") layer.textContent = `All of ${layerName(page.runs[0].step.tasks.layer[selection.value])}`;
  });
  return holder;
}

function chosenWords() {
  const { kind, value } = selection, { tasks, duration } = page.runs[0].step;
  if (kind === "task") {
    return `${tasks.op[value]}${tasks.layer[value] ? ` of ${tasks.layer[value]}` : ""}, ${page.labels[tasks.phase[value]] || tasks.phase[value]}, ` +
      `on the ${spoken(tasks.unit[value])}: ${seconds(tasks.end[value] - tasks.start[value])}, ${si(tasks.dram_bytes[value], "B")} of DRAM traffic, ` +
      `${joules(tasks.energy[value])}`;
  }
  const rows = tasksWhere(0, i => matches(0, i)), name = kind === "layer" ? layerName(value) : page.labels[value] || value;
  return `${kind} ${name}: ${plural(sumOf(tasks.tasks, rows), "task")}, ${seconds(sumOf(tasks.charged, rows))} or ` +
    `${percent(sumOf(tasks.charged, rows), duration)} of a step, ${si(sumOf(tasks.dram_bytes, rows), "B")} of DRAM traffic`;
}

const themeNow = () => document.documentElement.dataset.theme;

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  redraw();
}

function topBar() {
  const dark = el("button", { type: "button", onclick: () => {
    setTheme(themeNow() === "dark" ? "light" : "dark");
    dark.setAttribute("aria-pressed", String(themeNow() === "dark"));
  }, "aria-pressed": String(themeNow() === "dark") }, "Dark");
  return el("nav", { class: "bar", "aria-label": "sections" }, el("div", {}, el("strong", {}, page.title),
    el("ul", {}, sections.map(([id, name]) => el("li", {}, el("a", { href: `#${id}` }, name)))),
    el("span", { class: "group" }, dark, el("button", { type: "button", onclick: () => print() }, "Print"))));
}

const PAPER = 690;
let before = "light";
addEventListener("beforeprint", () => {
  before = themeNow();
  document.documentElement.dataset.theme = "light";
  paper = true;
  redraw(PAPER);
});
addEventListener("afterprint", () => {
  paper = false;
  setTheme(before);
});
addEventListener("keydown", event => {
  if (event.key === "Escape" && selection.kind !== null) choose(selection.kind, selection.value);
});

const system = matchMedia("(prefers-color-scheme: dark)");
document.documentElement.dataset.theme = system.matches ? "dark" : "light";
system.addEventListener("change", () => setTheme(system.matches ? "dark" : "light"));

const ours = page.runs.length ? [limits, timeline, roofline, layers, prices, memory] : [];
const body = el("main", { id: "content" }, [...ours.map(make => make()), ...page.spaces.map(designSpace),
  ...page.scenarios.flatMap(scenarioSections), page.runs.length ? methods() : null, page.runs.length ? trust() : null].filter(Boolean));
document.body.append(el("a", { class: "skip", href: "#content" }, "Skip to the figures"), topBar(), header(), body,
  el("footer", {}, `Made by trainsoc ${page.trainsoc}`, page.command ? [": ", el("code", {}, page.command)] : null),
  chosenBar(), tip);
redraw();
