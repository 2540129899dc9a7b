// The document, its columns unfolded, and the one selection that all views share.
const page = JSON.parse(document.getElementById("document").textContent);

const NAMED = ["unit", "stage", "op", "layer", "phase", "cause"];
for (const run of page.runs) {
  const tasks = run.step.tasks;
  for (const key of NAMED) tasks[key] = tasks[key].rows.map(row => tasks[key].names[row]);
  tasks.length = tasks.start.length;
}

const selection = { kind: null, value: null, listeners: [] };

// Select what has `value` as its `kind` (layer, phase, cause or task); the same again clears it.
function choose(kind, value) {
  const again = kind === selection.kind && value === selection.value;
  selection.kind = again ? null : kind;
  selection.value = again ? null : value;
  for (const listener of selection.listeners) listener();
}

const onChoice = listener => selection.listeners.push(listener);
const isChosen = (kind, value) => selection.kind === kind && selection.value === value;

// Whether task `index` of run number `place` is in the selection; all are, where there is none.
function matches(place, index) {
  const { kind, value } = selection;
  if (kind === null) return true;
  if (kind === "task") return place === 0 && index === value;
  return page.runs[place].step.tasks[kind][index] === value;
}

function tasksWhere(place, test) {
  const tasks = page.runs[place].step.tasks, rows = [];
  for (let i = 0; i < tasks.length; i++) if (test(i)) rows.push(i);
  return rows;
}

const sumOf = (column, rows) => rows.reduce((sum, row) => sum + column[row], 0);

// Sum `column` over tasks by the value of `key`, in order of appearance.
function sumsBy(tasks, key, column) {
  const sums = new Map();
  for (let i = 0; i < tasks.length; i++) {
    sums.set(tasks[key][i], (sums.get(tasks[key][i]) || 0) + tasks[column][i]);
  }
  return sums;
}

const layerName = name => name || "outside of layers";
