// One step over time on a canvas: a lane per unit, then bandwidth, power and memory; others below.
const NAMED_BY = [["phase", "phase"], ["cause", "cause"], ["stage", "kind of work"]];

function timeline() {
  const view = { low: 0, high: longest(), by: "phase", marks: 0 };
  const lanes = page.runs.flatMap(laneList);
  const height = AXIS + lanes.reduce((sum, lane) => sum + HEAD + lane.height, 0) + 6;
  const canvas = el("canvas", { "aria-hidden": "true" });
  const frame = el("div", { class: "lanes", tabindex: 0, role: "application",
    "aria-label": "Timeline of a step. Left and right move, plus and minus zoom, 0 shows all, " +
      "n and p choose the next and the previous task, Enter its layer, Escape clears." }, canvas);
  const key = el("div");
  const shown = el("span", { class: "more", role: "status" });
  const redrawn = (width = 0) => {
    paintLanes(canvas, frame, width || frame.clientWidth || 700, lanes, view, height);
    shown.textContent = `${seconds(view.low)} to ${seconds(view.high)}`;
  };
  frame.draw = redrawn;
  onWidth(frame);
  onChoice(() => redrawn());
  listen(frame, canvas, lanes, view, redrawn);
  const recolour = by => { view.by = by; key.replaceChildren(phaseKey(by)); redrawn(); };
  key.replaceChildren(phaseKey(view.by));
  return section("timeline", "Timeline", timelineTitle(),
    "A steady training step, task by task; hover for what it moved and cost, click to choose it " +
    "everywhere. Drag to move, Ctrl and the wheel to zoom; with the keyboard: arrows, + and -, 0, n and p.",
    el("div", { class: "tools" }, el("span", { class: "group" }, "colour by",
      switcher("colour by", NAMED_BY, view.by, recolour)), zoomButtons(view, redrawn), shown),
    key, frame, mergedNote(), taskTable());
}

const longest = () => Math.max(1, ...page.runs.map(run => run.step.duration));

function timelineTitle() {
  const { step } = page.runs[0], tasks = step.tasks;
  const busy = [...sumsBy(tasks, "unit", "charged").keys()].map(unit => {
    const rows = tasksWhere(0, i => tasks.unit[i] === unit);
    return `the ${spoken(unit)} is busy ${percent(covered(tasks, rows), step.duration)}`;
  });
  return `In a step of ${seconds(step.duration)} ${busy.join(", ")}`;
}

// The time that some tasks cover, in ps, counting every moment once.
function covered(tasks, rows) {
  let sum = 0, end = -1;
  for (const i of [...rows].sort((a, b) => tasks.start[a] - tasks.start[b])) {
    const from = Math.max(end, tasks.start[i]);
    if (tasks.end[i] > from) { sum += tasks.end[i] - from; end = tasks.end[i]; }
  }
  return sum;
}

function phaseKey(by) {
  const names = [...new Set(page.runs.flatMap(run => run.step.tasks[by]))];
  return legend(names.map((name, place) => [by === "phase" ? page.labels[name] || name : name,
    hue(by, name, place), "square", by === "stage" ? null : () => choose(by, name), isChosen(by, name)]));
}

function zoomButtons(view, redrawn) {
  const act = (name, label, change) =>
    el("button", { type: "button", "aria-label": label, onclick: () => { change(); redrawn(); } }, name);
  return el("div", { class: "group", role: "group", "aria-label": "zoom" },
    act("−", "zoom out", () => zoom(view, 1.6)), act("+", "zoom in", () => zoom(view, 1 / 1.6)),
    act("◀", "earlier", () => pan(view, -0.25)), act("▶", "later", () => pan(view, 0.25)),
    page.runs.length > 1 ? act("Ours", "Ours: show our step alone", () => reset(view, page.runs[0].step.duration)) : null,
    act("All", "show all", () => reset(view, longest())));
}

function zoom(view, factor, at = (view.low + view.high) / 2) {
  const span = Math.min(longest(), Math.max(1000, (view.high - view.low) * factor));
  const part = (at - view.low) / (view.high - view.low);
  place(view, at - part * span, span);
}

const pan = (view, part) => place(view, view.low + part * (view.high - view.low), view.high - view.low);
const reset = (view, high) => { view.low = 0; view.high = high; };

function place(view, low, span) {
  view.low = Math.max(0, Math.min(longest() - span, low));
  view.high = view.low + span;
}

function listen(frame, canvas, lanes, view, redrawn) {
  const timeAt = event => view.low + (event.clientX - canvas.getBoundingClientRect().left) /
    frame.clientWidth * (view.high - view.low);
  let grip = null;
  canvas.addEventListener("pointerdown", event => {
    grip = { x: event.clientX, low: view.low, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (!grip) return tipAt(event, canvas, view, timeAt(event));
    const shift = (grip.x - event.clientX) / frame.clientWidth * (view.high - view.low);
    if (Math.abs(grip.x - event.clientX) > 4) grip.moved = true;
    if (!grip.moved) return;
    hideTip();
    canvas.classList.add("drags");
    place(view, grip.low + shift, view.high - view.low);
    redrawn();
  });
  canvas.addEventListener("pointerup", event => {
    canvas.classList.remove("drags");
    const hit = grip && !grip.moved && taskAt(event, canvas, view, timeAt(event));
    grip = null;
    if (hit && hit.place === 0) choose("task", hit.index);
    else if (hit) choose("layer", page.runs[hit.place].step.tasks.layer[hit.index]);
  });
  canvas.addEventListener("pointercancel", () => { grip = null; });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(view, event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
    redrawn();
  }, { passive: false });
  frame.addEventListener("keydown", event => timelineKey(event, view, redrawn));
}

function timelineKey(event, view, redrawn) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const acts = {
    ArrowLeft: () => pan(view, -0.2), ArrowRight: () => pan(view, 0.2),
    "+": () => zoom(view, 1 / 1.6), "=": () => zoom(view, 1 / 1.6), "-": () => zoom(view, 1.6),
    0: () => reset(view, longest()), n: () => step(view, 1), p: () => step(view, -1),
    Enter: () => selection.kind === "task" &&
      choose("layer", page.runs[0].step.tasks.layer[selection.value]),
  };
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
  redrawn();
}

// Choose the task after, or before, the one that is chosen, and show it.
function step(view, by) {
  const { tasks } = page.runs[0].step;
  const now = selection.kind === "task" ? selection.value : by > 0 ? -1 : tasks.length;
  const next = Math.max(0, Math.min(tasks.length - 1, now + by));
  if (next !== now) choose("task", next);
  const middle = (tasks.start[next] + tasks.end[next]) / 2;
  if (middle < view.low || middle > view.high) place(view, middle - (view.high - view.low) / 2, view.high - view.low);
}

function taskAt(event, canvas, view, moment) {
  const y = event.clientY - canvas.getBoundingClientRect().top;
  const box = view.boxes.find(([from, to]) => y >= from && y <= to);
  if (!box || box[2].kind !== "tasks") return null;
  const { rows, place: run } = box[2], { tasks } = page.runs[run].step;
  const near = 3 * (view.high - view.low) / canvas.clientWidth;
  const hits = rows.filter(i => tasks.start[i] - near <= moment && tasks.end[i] + near >= moment);
  const away = i => Math.max(tasks.start[i] - moment, moment - tasks.end[i], 0);
  return hits.length ? { place: run, index: hits.reduce((a, b) => (away(b) < away(a) ? b : a)) } : null;
}

function tipAt(event, canvas, view, moment) {
  const hit = taskAt(event, canvas, view, moment);
  if (hit) return showTip(event, taskFacts(hit.place, hit.index));
  const y = event.clientY - canvas.getBoundingClientRect().top;
  const box = view.boxes.find(([from, to]) => y >= from && y <= to);
  if (!box || box[2].kind !== "curve") return hideTip();
  const { stack, unit, label } = box[2], at = lastBefore(stack.at, moment);
  return showTip(event, facts(label, [["at", seconds(moment)],
    ...stack.names.map((name, i) => [stack.names.length > 1 ? spoken(name) : "now",
      si(at < 0 ? 0 : stack.rows[i][at], unit)])]));
}

function lastBefore(at, moment) {
  let low = 0, high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] <= moment) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function taskFacts(place, i) {
  const { tasks } = page.runs[place].step, [batch, m, n, k] = tasks.shape[i];
  return facts(tasks.op[i], [
    ["layer", tasks.layer[i]], ["phase", page.labels[tasks.phase[i]] || tasks.phase[i]],
    ["unit", spoken(tasks.unit[i])],
    ["shape", m ? `${batch > 1 ? `${batch} × ` : ""}M ${m}, N ${n}, K ${k}` : ""],
    ["takes", `${seconds(tasks.end[i] - tasks.start[i])} from ${seconds(tasks.start[i])}`],
    ["charged", seconds(tasks.charged[i])], ["cause", tasks.cause[i]],
    ["DRAM", tasks.dram_bytes[i] ? si(tasks.dram_bytes[i], "B") : ""],
    ["MACs", tasks.macs[i] ? count(tasks.macs[i]) : ""],
    ["energy", `${joules(tasks.energy[i])} dynamic`],
  ]);
}

function mergedNote() {
  const notes = page.runs.map((run, place) => [run, place])
    .filter(([run]) => run.step.tasks.length < run.step.total_tasks)
    .map(([run, place]) => `${runName(place)}: of ${run.step.total_tasks.toLocaleString("en")} tasks ` +
      "the longest are shown one by one, the others as blocks of near neighbours.");
  return notes.length ? el("p", { class: "about" }, notes.join(" ")) : null;
}

function taskTable() {
  const { tasks } = page.runs[0].step;
  return tableBelow(`Tasks as a table (${plural(page.runs[0].step.total_tasks, "task")})`, () => {
    const rows = () => tasksWhere(0, i => matches(0, i));
    const whole = table("Tasks of one step, those that are chosen", [
      { label: "start", number: true, of: i => tasks.start[i], text: i => seconds(tasks.start[i]) },
      { label: "time", number: true, of: i => tasks.end[i] - tasks.start[i], text: i => seconds(tasks.end[i] - tasks.start[i]) },
      { label: "charged", number: true, of: i => tasks.charged[i], text: i => seconds(tasks.charged[i]) },
      { label: "unit", of: i => spoken(tasks.unit[i]) }, { label: "layer", of: i => tasks.layer[i] },
      { label: "phase", of: i => tasks.phase[i] }, { label: "op", of: i => tasks.op[i], class: "long" },
      { label: "cause", of: i => tasks.cause[i] },
      { label: "DRAM", number: true, of: i => tasks.dram_bytes[i], text: i => si(tasks.dram_bytes[i], "B") },
      { label: "energy", number: true, of: i => tasks.energy[i], text: i => joules(tasks.energy[i]) },
    ], rows());
    onChoice(() => whole.refill(rows()));
    return whole;
  });
}
