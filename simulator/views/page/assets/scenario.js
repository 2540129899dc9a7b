// A scenario: what runs and passes when, what waits, how late programs are, where energy goes.
const ENERGY_PARTS = [["jobs", "dynamic_aj", "blue"], ["static", "static_aj", "silver"],
  ["links", "links_aj", "orange"]];
const PERCENTILES = [["50 %", "latency_p50_s", "circle", "blue"], ["95 %", "latency_p95_s", "triangle", "orange"],
  ["99 %", "latency_p99_s", "diamond", "vermillion"]];

function scenarioSections(play, place) {
  const id = page.scenarios.length > 1 ? `scenario-${place + 1}` : "scenario";
  const of = (part, ...rest) => section(`${id}-${part}`, ...rest);
  return [scenarioLanes(play, of), scenarioLatency(play, of), scenarioQueues(play, of),
    scenarioEnergy(play, of), scenarioLinks(play, of), scenarioRounds(play, of)].filter(Boolean);
}

const tagged = (play, name) => (page.scenarios.length > 1 ? `${name}, ${play.name}` : name);
const amount = (label, key, unit) => ({ label, number: true, of: row => row[key], text: row => si(row[key], unit) });
const named = (label, key) => ({ label, of: row => row[key] });
const plain = (label, key) => ({ label, number: true, of: row => row[key] });

function scenarioLanes(play, of) {
  const programs = play.programs.map(row => row.program);
  const colourOf = what => (programs.includes(what) ? ORDER[programs.indexOf(what) % ORDER.length] : "silver");
  const drawing = figure("What each device runs and each link carries over time; the table below has sums",
    width => lanePlot(play, colourOf, width));
  const entries = programs.filter(name => play.lanes.some(lane => lane.what === name)).map(name => [name, colourOf(name)]);
  if (play.lanes.some(lane => lane.kind === "link")) entries.push(["message on a link", "silver"]);
  return of("lanes", tagged(play, "Devices"), `${play.total.busiest} is the busiest in ${seconds(play.duration)}`,
    `What each device runs and each link carries in ${play.name}. Jobs too close to be told apart are one mark.` +
    (play.lanes_left_out ? ` ${plural(play.lanes_left_out, "further lane")} left out here, not in the tables.` : ""),
    legend(entries), drawing,
    tableBelow("Devices as a table", () => table(`Devices of ${play.name}`, [
      named("device", "device"), plain("jobs", "jobs"), amount("busy", "busy_s", "s"),
      { label: "of the time", number: true, of: row => row.utilization, text: row => percent(row.utilization, 1) },
      amount("energy", "energy_j", "J"), ...ENERGY_PARTS.map(([label, key]) => ({ label, number: true,
        of: row => row[key], text: row => joules(row[key]) })), amount("memory", "memory_bytes", "B"),
    ], play.devices)),
    tableBelow("Sources as a table", () => table(`Where frames arrive in ${play.name}`, [
      named("source", "source"), plain("frames", "frames"), amount("rate", "frames_per_s", "/s"),
      amount("at most", "bound_per_s", "/s"), ...PERCENTILES.map(([label, key]) => amount(label, key, "s")),
    ], play.sources)));
}

const nameRoom = (width, names) => Math.min(width * 0.34, 14 + 6.6 * Math.max(...names.map(name => name.length)));
const cut = (name, room) => {
  const most = Math.max(3, Math.floor((room - 10) / 6.6));
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
};

// Rows with their names at the left: where each lies, and the nodes of the names.
function nameRows(names, width, high, top = 8) {
  const room = nameRoom(width, names);
  const box = { left: room, right: width - 12, top, bottom: top + high * names.length };
  return { box, y: i => top + high * i, nodes: names.map((name, i) => svg("text",
    { x: room - 8, y: top + high * (i + 0.5) + 4, "font-size": 12, "text-anchor": "end" },
    svg("title", {}, name), cut(name, room))) };
}

function lanePlot(play, colourOf, width) {
  const rows = nameRows(play.lanes.map(lane => (lane.kind === "link" ? `link ${lane.name}` : lane.name)), width, 24);
  const { box } = rows, x = linear([0, play.duration], [box.left, box.right]);
  const unit = axisUnit(play.duration / PS, "s");
  return { height: box.bottom + 44, nodes: [
    axisBelow(x, box, `time (${unit.unit})`, at => unit.format(at / PS)), rows.nodes,
    play.lanes.map((lane, i) => lane.start.map((start, n) => withTip(svg("rect", { x: x(start), y: rows.y(i) + 3,
      width: Math.max(0.7, x(lane.end[n]) - x(start)), height: 18, fill: paint(colourOf(lane.what)) }),
    () => facts(lane.name, [["runs", lane.what], ["jobs", String(lane.count[n])], ["from", seconds(start)],
      ["to", seconds(lane.end[n])]])))),
  ] };
}

function scenarioLatency(play, of) {
  const rows = play.programs.filter(row => row.jobs);
  if (!rows.length) return null;
  const watched = rows.filter(row => row.misses !== null), late = watched.reduce((sum, row) => sum + row.misses, 0);
  const slowest = rows.reduce((a, b) => (b.latency_p95_s > a.latency_p95_s ? b : a));
  const entries = PERCENTILES.map(([label, , shape, colour]) => [label, colour, shape]);
  if (watched.length) entries.push(["deadline", "black", "bar"]);
  return of("latency", tagged(play, "Latency"), `95 % of ${slowest.program} end within ${si(slowest.latency_p95_s, "s")}` +
    (watched.length ? `; ${plural(late, "job")} of ${watched.reduce((sum, row) => sum + row.jobs, 0)} with a deadline ${late === 1 ? "misses" : "miss"} it` : ""),
    "Latency of the jobs of each program counts from the arrival of what led to them: the time in which half, 95 % " +
    "and 99 % of them have ended.", legend(entries),
    figure("Latency percentiles of each program; the table below has the numbers", width => latencyPlot(rows, width)),
    tableBelow("Programs as a table", () => table(`Programs of ${play.name}`, [
      named("program", "program"), named("on", "on"), plain("jobs", "jobs"), amount("rate", "jobs_per_s", "/s"),
      ...PERCENTILES.map(([label, key]) => amount(label, key, "s")), amount("deadline", "deadline_s", "s"),
      { label: "missed", number: true, of: row => row.misses, text: row => (row.misses === null ? "-" : String(row.misses)) },
      plain("dropped", "dropped"), { label: "slowed", number: true, of: row => row.slowdown, text: row => ratio(row.slowdown) },
      amount("energy per job", "energy_per_job_j", "J"), amount("energy", "energy_j", "J"),
      amount("weights", "weights_bytes", "B"), amount("memory", "memory_bytes", "B"),
    ], play.programs)));
}

function latencyPlot(rows, width) {
  const all = rows.flatMap(row => [...PERCENTILES.map(([, key]) => row[key]), row.deadline_s]).filter(value => value > 0);
  const lines = nameRows(rows.map(row => row.program), width, 28), { box } = lines;
  const [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [1e-3, 1];
  const wide = high / low > 30, x = wide ? logarithmic([low / 1.3, high * 1.3], [box.left, box.right])
    : linear([0, high * 1.05], [box.left, box.right]);
  const unit = axisUnit(high, "s"), at = value => x(wide ? Math.max(value, low / 1.3) : value);
  return { height: box.bottom + 44, nodes: [
    axisBelow(x, box, wide ? "latency, logarithmic" : `latency (${unit.unit})`, value => (wide ? si(value, "s") : unit.format(value))), lines.nodes,
    rows.map((row, i) => {
      const y = lines.y(i) + 14;
      return [svg("line", { x1: at(row.latency_p50_s), x2: at(row.latency_p99_s), y1: y, y2: y, stroke: "var(--ink)" }),
        row.deadline_s ? svg("line", { x1: at(row.deadline_s), x2: at(row.deadline_s), y1: y - 11, y2: y + 11,
          stroke: paint("black"), "stroke-width": 2.5 }) : null,
        PERCENTILES.map(([label, key, shape, colour]) => withTip(svg("path", { d: shapePath(shape, at(row[key]), y, 5.5),
          fill: paint(colour), stroke: "var(--paper)" }), () => facts(row.program, [[label, si(row[key], "s")],
          ["deadline", row.deadline_s ? si(row.deadline_s, "s") : ""], ["missed", row.misses ? String(row.misses) : ""]])))];
    }),
  ] };
}

function scenarioQueues(play, of) {
  const names = Object.keys(play.queues);
  if (!names.length) return null;
  const rows = names.map(name => ({ name, ...queueSums(play.queues[name], play.duration) }));
  const worst = rows.reduce((a, b) => (b.mean > a.mean ? b : a));
  return of("queues", tagged(play, "Queues"), `${digits(worst.mean)} wait for ${worst.name} on average, at most ${digits(worst.most)}`,
    "Jobs that are ready and wait for their device, and messages that wait for their link, over time. Each row reaches to its own maximum.",
    figure("How many wait for each device and link; the table below has means and maxima", width => queuePlot(play, rows, width)),
    tableBelow("Queues as a table", () => table(`Queues of ${play.name}`, [named("waits for", "name"),
      { label: "mean", number: true, of: row => row.mean, text: row => digits(row.mean) },
      { label: "most", number: true, of: row => row.most, text: row => digits(row.most) }], rows)));
}

function queueSums({ at, value }, end) {
  const area = at.reduce((sum, start, i) => sum + value[i] * ((at[i + 1] ?? end) - start), 0);
  return { mean: end ? area / end : 0, most: Math.max(...value) };
}

function queuePlot(play, rows, width) {
  const lines = nameRows(rows.map(row => row.name), width, 34), { box } = lines;
  const x = linear([0, play.duration], [box.left, box.right]), unit = axisUnit(play.duration / PS, "s");
  return { height: box.bottom + 44, nodes: [
    axisBelow(x, box, `time (${unit.unit})`, at => unit.format(at / PS)), lines.nodes,
    rows.map((row, i) => {
      const { at, value } = play.queues[row.name], base = lines.y(i) + 30, y = level => base - 24 * level / row.most;
      const steps = at.map((start, n) => `H${x(start)}V${y(value[n])}`).join("");
      return [svg("path", { d: `M${box.left},${base}${steps}H${box.right}V${base}Z`, fill: paint("blue") }),
        text(box.right, base - 24, `${digits(row.most)}`, { "text-anchor": "end", class: "halo" })];
    }),
  ] };
}

function scenarioEnergy(play, of) {
  const rows = play.devices.slice(0, 24).filter(row => row.energy_aj);
  if (!rows.length) return null;
  const most = Math.max(...rows.map(row => row.energy_aj)), still = play.devices.reduce((sum, row) => sum + row.static_aj, 0);
  return of("energy", tagged(play, "Energy"), `${si(play.total.energy_j, "J")} in all, ${si(play.total.energy_per_frame_j, "J")} per frame; ` +
    `${percent(still, play.total.energy_aj)} is static`,
    `Energy of each device: of its jobs, static power all the time, and its ends of links.${play.devices.length > 24 ? " The first 24 devices." : ""}`,
    legend(ENERGY_PARTS.map(([label, , colour]) => [label, colour])),
    el("div", { class: "bars" }, rows.map(row => {
      let from = 0;
      return el("div", { class: "row" }, el("span", { class: "what" }, row.device),
        el("span", { class: "track" }, ENERGY_PARTS.map(([, key, colour]) => {
          const start = from;
          from += row[key] / most;
          return bar(start, from, colour);
        })), el("span", { class: "amount" }, si(row.energy_j, "J")));
    })),
    tableBelow("Energy as a table", () => table(`Energy of the devices of ${play.name}`, [named("device", "device"),
      ...ENERGY_PARTS.map(([label, key]) => ({ label, number: true, of: row => row[key], text: row => joules(row[key]) })),
      amount("in all", "energy_j", "J")], play.devices)));
}

function scenarioLinks(play, of) {
  if (!play.links.length) return null;
  const busiest = play.links.reduce((a, b) => (b.utilization > a.utilization ? b : a));
  return of("links", tagged(play, "Links"), `${busiest.link} is occupied ${percent(busiest.utilization, 1)} of the time`,
    "Bars: the share of the time in which the busiest port of a link is occupied.",
    el("div", { class: "bars" }, play.links.slice(0, 24).map(row => el("div", { class: "row" },
      el("span", { class: "what" }, row.link), el("span", { class: "track" }, bar(0, row.utilization, "silver")),
      el("span", { class: "amount" }, percent(row.utilization, 1))))),
    tableBelow("Links as a table", () => table(`Links of ${play.name}`, [named("link", "link"), plain("messages", "messages"),
      amount("bytes", "bytes", "B"), amount("on the wire", "wire_bytes", "B"), plain("repeats", "repeats"),
      { label: "busiest port", number: true, of: row => row.utilization, text: row => percent(row.utilization, 1) },
      ...PERCENTILES.map(([label, key]) => amount(label, key, "s")), amount("wait", "wait_mean_s", "s"),
      amount("energy", "energy_j", "J")], play.links)));
}

function scenarioRounds(play, of) {
  if (!play.rounds.length) return null;
  const most = Math.max(...play.rounds.map(row => row.duration_s));
  return of("rounds", tagged(play, "Rounds"), `The longest of ${plural(play.rounds.length, "round")} takes ${si(most, "s")}`, "",
    el("div", { class: "bars" }, play.rounds.slice(0, 24).map(row => el("div", { class: "row" },
      el("span", { class: "what" }, `${row.rounds} ${row.number}`), el("span", { class: "track" }, bar(0, row.duration_s / most, "blue")),
      el("span", { class: "amount" }, si(row.duration_s, "s"))))),
    tableBelow("Rounds as a table", () => table(`Rounds of ${play.name}`, [named("rounds", "rounds"), plain("number", "number"),
      amount("start", "start_s", "s"), amount("duration", "duration_s", "s"), plain("answers", "answers")], play.rounds)));
}
