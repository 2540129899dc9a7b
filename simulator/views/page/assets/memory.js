// What the step holds in memory over time, and where the channel of the DRAM spends its time.
const MEMORY_KINDS = ["parameters", "optimizer_state", "gradients", "activations", "inputs"];

function memory() {
  const run = page.runs[0], { dram, memory: lanes } = run.step, peak = run.memory.peak_bytes;
  const parts = [lanes ? memoryPlot(run, lanes, peak) : memoryBars(run), dramTime(run, dram)];
  return section("memory", "Memory", memoryTitle(run),
    "What the network and its training hold while the step runs, by the liveness of tensors; and " +
    "what the channel of the DRAM does meanwhile.", el("div", { class: "pair" }, parts));
}

function memoryTitle(run) {
  const kinds = Object.entries(run.memory).filter(([key]) => key !== "peak_bytes");
  const [name, most] = kinds.reduce((a, b) => (b[1] > a[1] ? b : a));
  return `A step holds ${si(run.memory.peak_bytes, "B")} at its peak; ${spoken(name)} up to ${si(most, "B")}`;
}

function memoryPlot(run, lanes, peak) {
  const stack = stacked(Object.fromEntries(MEMORY_KINDS.filter(kind => lanes[kind]).map(kind => [kind, lanes[kind]])));
  const drawing = figure(`Memory over a step, at most ${si(peak, "B")}`, width => {
    const box = { left: 62, right: width - 10, top: 30, bottom: 220 }, end = run.step.duration;
    const most = Math.max(...stack.tops), time = axisUnit(end / PS, "s"), size = axisUnit(most, "B");
    const x = linear([0, end], [box.left, box.right]), y = linear([0, most * 1.08], [box.bottom, box.top]);
    return { height: 264, nodes: [
      axisBelow(x, box, `time in the step (${time.unit})`, value => time.format(value / PS)),
      axisLeft(y, box, `memory (${size.unit})`, size.format, 4),
      bands(stack, x, y, end).map(([name, path], i) => svg("path", { d: path, fill: paint(hue("memory", name, i)) })),
      svg("line", { x1: box.left, x2: box.right, y1: y(most), y2: y(most), stroke: "var(--ink)", "stroke-dasharray": "4 4" }),
      text(box.right - 2, y(most) - 5, `peak ${si(most, "B")}`, { "text-anchor": "end", class: "halo" }),
    ] };
  });
  return el("div", {}, el("h3", {}, "Over the step"), drawing,
    legend(stack.names.map((name, i) => [spoken(name), hue("memory", name, i), "square"])),
    tableBelow("Memory as a table", () => table("Memory while a step runs", [
      { label: "from", number: true, of: i => stack.at[i], text: i => seconds(stack.at[i]) },
      ...stack.names.map((name, place) => ({ label: spoken(name), number: true, of: i => stack.rows[place][i],
        text: i => si(stack.rows[place][i], "B") })),
      { label: "all", number: true, of: i => stack.tops[i], text: i => si(stack.tops[i], "B") },
    ], stack.at.map((_, i) => i))));
}

// A path of steps for each name of a stack, from the sum below it to the sum with it.
function bands(stack, x, y, end) {
  const base = stack.at.map(() => 0);
  const line = (levels, back) => {
    const parts = [];
    for (let i = 0; i < stack.at.length; i++) {
      const from = x(stack.at[i]), to = x(i + 1 < stack.at.length ? stack.at[i + 1] : end), at = y(levels[i]);
      parts.push([from, at], [to, at]);
    }
    return (back ? parts.reverse() : parts).map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join("L");
  };
  return stack.names.map((name, place) => {
    const upper = stack.rows[place].map((value, i) => base[i] + value);
    const path = `M${line(upper, false)}L${line(base, true)}z`;
    upper.forEach((value, i) => { base[i] = value; });
    return [name, path];
  });
}

function memoryBars(run) {
  const kinds = Object.entries(run.memory).filter(([key]) => key !== "peak_bytes");
  const most = Math.max(...kinds.map(([, size]) => size), 1);
  return el("div", {}, el("h3", {}, "Each kind at its own peak"), el("div", { class: "bars" },
    kinds.map(([name, size]) => el("div", { class: "row" }, el("span", { class: "what" }, spoken(name)),
      el("span", { class: "track" }, bar(0, size / most, hue("memory", name))),
      el("span", { class: "amount" }, si(size, "B"))))),);
}

function dramTime(run, dram) {
  const { duration } = run.step, rows = [
    ["moves data at the peak rate", dram.moving, "green", duration],
    ["lost to rows, turnarounds, refresh", dram.lost, "vermillion", duration],
    ["idle", dram.idle, "silver", duration],
  ];
  let start = 0;
  return el("div", {}, el("h3", {}, "Where the DRAM's time goes"), el("div", { class: "bars" },
    rows.map(([name, ps, colour, whole]) => {
      const from = start / whole;
      start += ps;
      return el("div", { class: "row" }, el("span", { class: "what" }, name),
        el("span", { class: "track" }, bar(from, start / whole, colour)),
        el("span", { class: "amount" }, seconds(ps), " ", el("small", {}, percent(ps, whole))));
    })),
  el("p", {}, dram.waited ? `Tasks took ${seconds(dram.waited)} longer than alone, as they shared the memory with others.`
    : "No task took longer than alone: units did not meet at the memory."), phaseTraffic(run));
}

function phaseTraffic(run) {
  return tableBelow("Traffic by phase as a table", () => table("DRAM traffic of the run by phase", [
    { label: "phase", of: row => page.labels[row.phase] || row.phase },
    { label: "reads", number: true, of: row => row.dram_read_bytes, text: row => si(row.dram_read_bytes, "B") },
    { label: "writes", number: true, of: row => row.dram_write_bytes, text: row => si(row.dram_write_bytes, "B") },
    { label: "row hits", number: true, of: row => row.row_hit_rate, text: row => percent(row.row_hit_rate, 1) },
    { label: "lost to others", number: true, of: row => row.contention_s, text: row => si(row.contention_s || 0, "s") },
  ], run.phases));
}
