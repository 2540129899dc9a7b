// Energy at other prices, exactly: counts x price + static power x time, in whole attojoules.
function prices() {
  const { prices: own } = page.runs[0];
  if (!own.actions.length) return null;
  const knobs = [...own.actions.map(actionKnob), ...own.static.map(staticKnob)]
    .filter(knob => knob.base > 0n).sort((a, b) => Number(spentOn(own, b) - spentOn(own, a)));
  const result = el("div"), yaml = el("pre", { tabindex: 0, "aria-label": "table of prices for trainsoc recost" });
  const update = () => {
    result.replaceChildren(...priceResult(own, knobs));
    yaml.textContent = priceYaml(knobs);
  };
  const sliders = el("div", { class: "sliders" }, knobs.map(knob => slider(knob, update)));
  const all = (name, of) => el("button", { type: "button", onclick: () => {
    knobs.forEach(knob => { knob.set(of(knob)); });
    update();
  } }, name);
  update();
  return section("prices", "Prices", priceTitle(own, knobs),
    "Energy is counts × price + static power × time, and what an awake memory draws, here in whole " +
    "attojoules: exactly what " +
    "trainsoc recost computes from the table below. Nothing is simulated anew.",
    el("div", { class: "tools" }, all("As in the run", knob => knob.base),
      all("All at the low end", knob => knob.low), all("All at the high end", knob => knob.high)),
    result, sliders,
    tableBelow("Prices as a table for trainsoc recost", () => yaml), partTable(own, knobs));
}

function actionKnob(row, place) {
  return knobOf({ key: row.key, label: actionLabel(row.key), dynamic: true, place, component: row.component,
    base: BigInt(row.aj), low: BigInt(row.low), high: BigInt(row.high), unit: "J", scale: 1e18 });
}

function staticKnob(row, place) {
  return knobOf({ key: row.component, label: `${spoken(row.component)}, static power`, dynamic: false, place,
    component: row.component, base: BigInt(row.uw), low: BigInt(row.low), high: BigInt(row.high),
    unit: "W", scale: 1e6 });
}

function knobOf(knob) {
  return { ...knob, now: knob.base, set(value) { this.now = value; if (this.show) this.show(); } };
}

const actionLabel = key => {
  const words = spoken(key.replace(/_issued/, "")).replace(/^dram/, "DRAM").replace(/^cpu/, "CPU");
  return words === "CPU cycles" ? "CPU, per core cycle" : words.replace(/s$/, "").replace(/\bmac\b/, "MAC");
};

// What a knob stands for in the run, in aJ.
function spentOn(own, knob) {
  const whole = own.parts[0];
  return knob.dynamic ? BigInt(whole.counts[knob.place]) * knob.base : BigInt(whole.ps) * knob.base;
}

function slider(knob, update) {
  const reach = 2, shown = el("output", {});
  const input = el("input", { type: "range", min: -reach, max: reach, step: 0.01, value: 0 });
  knob.show = () => {
    const factor = Number(knob.now) / Number(knob.base);
    input.value = String(Math.log2(factor));
    shown.textContent = `${si(Number(knob.now) / knob.scale, knob.unit)}${factor === 1 ? "" : `, ${ratio(factor)}`}`;
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => {
    const factor = 2 ** Number(input.value);
    knob.now = Number(input.value) === 0 ? knob.base : BigInt(Math.round(Number(knob.base) * factor));
    shown.textContent = `${si(Number(knob.now) / knob.scale, knob.unit)}, ${ratio(factor)}`;
    input.setAttribute("aria-valuetext", shown.textContent);
    update();
  });
  knob.show();
  return el("label", {}, el("span", {}, knob.label, shown), input);
}

// The energy of a part of a run in aJ by component: `now` or at the prices of the run.
function energyOf(own, part, knobs, now) {
  const sums = new Map(own.static.map(row => [row.component, 0n]));
  const price = new Map(knobs.map(knob => [`${knob.dynamic}${knob.place}`, now ? knob.now : knob.base]));
  own.actions.forEach((row, i) => {
    const each = price.get(`true${i}`) ?? BigInt(row.aj);
    sums.set(row.component, (sums.get(row.component) || 0n) + BigInt(part.counts[i]) * each);
  });
  own.static.forEach((row, i) => {
    const each = price.get(`false${i}`) ?? BigInt(row.uw);
    sums.set(row.component, sums.get(row.component) + BigInt(part.ps) * each);
  });
  own.states.forEach((name, i) => sums.set(name, (sums.get(name) || 0n) + BigInt(part.states[i])));
  return sums;
}

const wholeOf = sums => [...sums.values()].reduce((sum, each) => sum + each, 0n);

function priceTitle(own, knobs) {
  const sums = energyOf(own, own.parts[0], knobs, false), whole = Number(wholeOf(sums));
  const [name, most] = [...sums].reduce((a, b) => (b[1] > a[1] ? b : a));
  return `The ${spoken(name)} takes ${percent(Number(most), whole)} of the ${joules(whole)} of the run`;
}

function priceResult(own, knobs) {
  const before = energyOf(own, own.parts[0], knobs, false), after = energyOf(own, own.parts[0], knobs, true);
  const [old, now] = [Number(wholeOf(before)), Number(wholeOf(after))];
  const most = Math.max(...[...before.values(), ...after.values()].map(Number)) || 1;
  return [el("p", { role: "status" }, el("span", { class: "big", "data-aj": String(wholeOf(after)), id: "recost" },
    joules(now)), old === now ? " for the run, as simulated" : ` for the run, ${ratio(now / old)} what it took; ` +
    `${si(now / AJ / page.runs[0].epochs.length, "J")} per epoch`, againstOthers(knobs)),
  el("div", { class: "bars" }, [...after].filter(([name, aj]) => aj || before.get(name)).map(([name, aj], i) =>
    el("div", { class: "row" }, el("span", { class: "what" }, spoken(name)),
      el("span", { class: "track" }, bar(0, Number(aj) / most, hue("component", name, i)),
        aj === before.get(name) ? null : el("span", { class: "whisker", style:
          { left: share(Math.min(Number(aj), Number(before.get(name))) / most),
            width: share(Math.abs(Number(aj - before.get(name))) / most) } })),
      el("span", { class: "amount" }, joules(Number(aj)), " ",
        el("small", {}, percent(Number(aj), now))))))];
}

// How the energy of the other runs compares where the prices that both have change alike.
function againstOthers(knobs) {
  const ours = page.runs[0], parts = page.runs.slice(1).map((run, i) => {
    const factors = new Map(knobs.map(knob => [`${knob.dynamic}${knob.key}`, knob]));
    const own = run.prices, whole = own.parts[0];
    const dynamic = own.actions.reduce((sum, row, at) =>
      sum + BigInt(whole.counts[at]) * scaled(BigInt(row.aj), factors.get(`true${row.key}`)), 0n);
    const still = own.static.reduce((sum, row) =>
      sum + BigInt(whole.ps) * scaled(BigInt(row.uw), factors.get(`false${row.component}`)), 0n);
    const awake = whole.states.reduce((sum, aj) => sum + BigInt(aj), 0n);
    const now = Number(wholeOf(energyOf(ours.prices, ours.prices.parts[0], knobs, true)));
    return againstWords(Number(dynamic + still + awake) / now, runName(i + 1));
  });
  return parts.length ? ` (${parts.join(", ")}, its prices changed alike)` : "";
}

const againstWords = (over, name) =>
  (over >= 1 ? `${ratio(over)} less than ${name}` : `${ratio(1 / over)} more than ${name}`);

const scaled = (price, knob) => (knob && knob.now !== knob.base ? price * knob.now / knob.base : price);

// The prices that changed, as YAML that `trainsoc recost --energy` takes.
function priceYaml(knobs) {
  const changed = knobs.filter(knob => knob.now !== knob.base);
  if (!changed.length) return "# every price is as in the run: move a slider\n";
  const lines = { dynamic: [], static: [] }, units = new Map();
  for (const knob of changed) {
    const kind = knob.dynamic ? "dynamic" : "static", value = `${knob.now} ${knob.dynamic ? "aJ" : "uW"}`;
    const [unit, ...rest] = knob.key.split(".");
    if (knob.dynamic ? !rest.length : OWN.has(knob.key)) {
      lines[kind].push(`  ${knob.key}: ${value}`);
      continue;
    }
    const further = units.get(unit) || { dynamic: [], static: [] };
    if (knob.dynamic) further.dynamic.push(`      ${rest.join(".")}: ${value}`);
    else further.static.push(`    static: ${value}`);
    units.set(unit, further);
  }
  const of = name => (lines[name].length ? [`${name}:`, ...lines[name]] : []);
  const ofUnit = ([unit, own]) => [`  ${unit}:`, ...(own.dynamic.length ? ["    dynamic:", ...own.dynamic] : []), ...own.static];
  const further = units.size ? ["units:", ...[...units].flatMap(ofUnit)] : [];
  return `${[...of("dynamic"), ...of("static"), ...further].join("\n")}\n`;
}

const OWN = new Set(["array", "scratchpad", "cpu", "interconnect", "dram", "vector"]);

function partTable(own, knobs) {
  return tableBelow("Energy of each phase at these prices", () => {
    const holder = el("div");
    const fill = () => holder.replaceChildren(table("Energy of the run by phase, at the prices of the sliders", [
      { label: "phase", of: part => part.name || "whole run" },
      { label: "as simulated", number: true, of: part => Number(wholeOf(energyOf(own, part, knobs, false))),
        text: part => joules(Number(wholeOf(energyOf(own, part, knobs, false)))) },
      { label: "now", number: true, of: part => Number(wholeOf(energyOf(own, part, knobs, true))),
        text: part => joules(Number(wholeOf(energyOf(own, part, knobs, true)))) },
    ], own.parts));
    fill();
    document.addEventListener("input", fill);
    return holder;
  });
}
