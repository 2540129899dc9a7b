// The lanes of a timeline: which there are, and how they are painted on a canvas.
const LANE = 24, HEAD = 17, CURVE = 46, AXIS = 22;

function laneList(run, place) {
  const { tasks, bandwidth, power, memory } = run.step;
  const units = [...new Set(tasks.unit)];
  const lanes = units.flatMap(unit => slots(tasks, unit).map((rows, slot) => ({
    kind: "tasks", place, rows, height: LANE,
    label: `${spoken(unit)}${slot ? ` ${slot + 1}` : ""}`,
  })));
  lanes.unshift({ kind: "title", place, height: 4, label: laneTitle(run, place) });
  const peak = run.step.roofs.find(roof => roof.name === "DRAM");
  const curve = (label, unit, kind, stack, top) =>
    ({ kind: "curve", place, label, unit, colours: kind, stack, top, height: CURVE });
  const traffic = stacked(bandwidth), drawn = stacked({ power }), most = Math.max(0, ...traffic.tops);
  lanes.push(curve("DRAM bandwidth", "B/s", "unit", traffic, peak && most > peak.per_s / 4 ? peak.per_s : most));
  lanes.push(curve("power", "W", "unit", drawn, Math.max(0, ...drawn.tops)));
  if (memory) lanes.push(curve("memory", "B", "memory", stacked(memory), Math.max(...stacked(memory).tops)));
  return lanes;
}

function laneTitle(run, place) {
  const own = run.step.duration, first = page.runs[0].step.duration, title = `${runName(place)}, a step of ${seconds(own)}`;
  if (!place || own === first) return title;
  return `${title}, ${own > first ? `${ratio(own / first)} as long` : `${ratio(first / own)} shorter`}`;
}

// The tasks of a unit in rows of which no two overlap.
function slots(tasks, unit) {
  const rows = [];
  const own = [];
  for (let i = 0; i < tasks.length; i++) if (tasks.unit[i] === unit) own.push(i);
  own.sort((a, b) => tasks.start[a] - tasks.start[b] || tasks.end[a] - tasks.end[b]);
  for (const i of own) {
    const free = rows.find(row => tasks.end[row.at(-1)] <= tasks.start[i]);
    if (free) free.push(i);
    else rows.push([i]);
  }
  return rows;
}

function paintLanes(canvas, frame, width, lanes, view, height) {
  const dots = devicePixelRatio || 1;
  canvas.width = width * dots;
  canvas.height = height * dots;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(dots, dots);
  const x = linear([view.low, view.high], [0, width]);
  const look = { ink: token("ink"), muted: token("muted"), line: token("line"),
    raised: token("raised"), accent: token("accent"), paper: token("paper"), text: token("text"), marks: palette() };
  pen.font = `12px ${look.text}`;
  timeAxis(pen, x, width, height, look);
  view.marks = 0;
  view.boxes = [];
  let top = AXIS;
  for (const lane of lanes) {
    laneHead(pen, lane, top, look);
    top += HEAD;
    if (lane.kind === "tasks") taskLane(pen, lane, x, top, width, view, look);
    else if (lane.kind === "curve") curveLane(pen, lane, x, top, width, look);
    view.boxes.push([top, top + lane.height, lane]);
    top += lane.height;
  }
  frame.dataset.marks = view.marks;
}

const palette = () => Object.fromEntries(ORDER.map(name => [name, token(`mark-${name}`)]));

// The name of a lane, and where it stacks several things their colours.
function laneHead(pen, lane, top, look) {
  pen.font = `${lane.kind === "title" ? "600 13px" : "12px"} ${look.text}`;
  pen.fillStyle = lane.kind === "title" ? look.ink : look.muted;
  const words = lane.label + laneNote(lane);
  pen.fillText(words, 6, top + 13);
  let at = 6 + pen.measureText(words).width + 12;
  const names = lane.kind === "curve" && lane.unit !== "W" ? lane.stack.names : [];
  names.forEach((name, place) => {
    pen.fillStyle = look.marks[hue(lane.colours, name, place)];
    pen.fillRect(at, top + 4, 9, 9);
    pen.fillStyle = look.muted;
    pen.fillText(spoken(name), at + 13, top + 13);
    at += 13 + pen.measureText(spoken(name)).width + 12;
  });
}

function laneNote(lane) {
  const { step } = page.runs[lane.place];
  if (lane.kind === "title") return "";
  if (lane.kind === "curve") return `, 0 to ${si(lane.top, lane.unit)}`;
  return `, busy ${percent(covered(step.tasks, lane.rows), step.duration)}`;
}

function timeAxis(pen, x, width, height, look) {
  const ticks = x.ticks(Math.max(2, width / 110)), last = Math.max(...ticks.map(Math.abs)) / PS;
  const unit = axisUnit(last, "s");
  for (const tick of ticks) {
    pen.fillStyle = look.line;
    pen.fillRect(x(tick), AXIS - 4, 1, height);
    pen.fillStyle = look.ink;
    const words = `${unit.format(tick / PS)} ${unit.unit}`;
    pen.fillText(words, Math.min(Math.max(2, x(tick) + 4), width - pen.measureText(words).width - 2), 14);
  }
}

function taskLane(pen, lane, x, top, width, view, look) {
  const { tasks } = page.runs[lane.place].step, end = x(page.runs[lane.place].step.duration);
  pen.fillStyle = look.raised;
  pen.fillRect(Math.max(0, x(0)), top, Math.min(width, end) - Math.max(0, x(0)), lane.height);
  for (const i of lane.rows) {
    const from = x(tasks.start[i]), to = x(tasks.end[i]);
    if (to < 0 || from > width) continue;
    view.marks += tasks.tasks[i];
    const colour = look.marks[hue(view.by, tasks[view.by][i])];
    const left = Math.max(-2, from), size = Math.max(0.75, Math.min(width + 2, to) - left);
    pen.globalAlpha = matches(lane.place, i) ? 1 : 0.16;
    pen.fillStyle = colour;
    pen.fillRect(left, top, size > 3 ? size - 0.5 : size, lane.height);
    if (size > 34) taskLabel(pen, tasks, i, left, top, size, lane.height, colour);
    pen.globalAlpha = 1;
    if (isChosen("task", i) && lane.place === 0) {
      pen.strokeStyle = look.ink;
      pen.lineWidth = 2;
      pen.strokeRect(left - 1, top - 1, Math.max(4, size) + 2, lane.height + 2);
    }
  }
}

function taskLabel(pen, tasks, i, left, top, size, height, colour) {
  pen.fillStyle = inkOn(colour);
  let words = tasks.layer[i] ? `${tasks.layer[i]} ${shortOp(tasks.op[i])}` : shortOp(tasks.op[i]);
  const most = Math.floor((size - 8) / 6.2);
  if (words.length > most) words = most > 8 ? `${words.slice(0, most - 1)}…` : "";
  pen.fillText(words, Math.max(left, 0) + 4, top + height / 2 + 4);
}

const shortOp = name => name.replace(/^aten\./, "").replace(/\.(default|Tensor|out)$/, "");

function curveLane(pen, lane, x, top, width, look) {
  const { at, rows, names } = lane.stack, end = page.runs[lane.place].step.duration;
  const y = linear([0, lane.top || 1], [top + lane.height - 1, top + 2]);
  const base = at.map(() => 0);
  rows.forEach((row, place) => {
    const upper = row.map((value, i) => base[i] + value);
    pen.fillStyle = look.marks[lane.unit === "W" ? "grey" : hue(lane.colours, names[place], place)];
    pen.beginPath();
    stairs(pen, at, base, upper, x, y, end, width);
    pen.fill();
    upper.forEach((value, i) => { base[i] = value; });
  });
  pen.fillStyle = look.line;
  pen.fillRect(Math.max(0, x(0)), top + lane.height - 1, Math.min(width, x(end)) - Math.max(0, x(0)), 1);
}

// The area between two levels over time, as far as it can be seen.
function stairs(pen, at, lower, upper, x, y, end, width) {
  const after = i => x(i + 1 < at.length ? at[i + 1] : end);
  for (let i = 0; i < at.length; i++) {
    const from = x(at[i]), to = after(i);
    if (to < 0 || from > width || upper[i] === lower[i]) continue;
    pen.rect(from, y(upper[i]), Math.max(0.4, to - from), y(lower[i]) - y(upper[i]));
  }
}
