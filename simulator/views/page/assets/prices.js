// Energy at other prices, exactly: amounts x prices and what supplies lose, in whole attojoules.
const LOSS = "loss";

function prices() {
  const { prices: own } = page.runs[0];
  const whole = own.parts[0];
  const knobs = own.rows.map((row, place) => ({ ...knobOf(row), spent: BigInt(whole.amounts[place]) * BigInt(row.value) }));
  if (own.loss) knobs.push({ ...knobOf({ kind: LOSS, key: LOSS, ...own.loss }), spent: energyOf(own, whole).get(own.loss.component) });
  return priceSection(own, knobs.filter(knob => knob.base > 0n).sort((a, b) => Number(b.spent - a.spent)));
}

function priceSection(own, knobs) {
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
  return section("prices", "Prices", priceTitle(own),
    "Energy is counts × price + power × time" + (own.loss ? ", and what supplies lose of it" : "") +
    ", here in whole attojoules: exactly what trainsoc recost computes from the table below. " +
    "Nothing is re-simulated.",
    el("div", { class: "tools" }, all("As in the run", knob => knob.base),
      all("All at the low end", knob => knob.low), all("All at the high end", knob => knob.high)),
    result, sliders,
    tableBelow("Prices as a table for trainsoc recost", () => yaml), partTable(own, knobs));
}

// How a kind of price is named, in which unit a slider shows it, and how a file writes it.
const KINDS = {
  action: { label: key => actionLabel(key), show: aj => si(aj / AJ, "J"), text: aj => `${aj} aJ` },
  static: { label: key => `${spoken(key)}, static power`, show: microwatts, text: uw => `${uw} uW` },
  standby: { label: key => `${spoken(key)}, awake`, show: microwatts, text: uw => `${uw} uW` },
  clocked: { label: key => `${spoken(key)}, clocked`, show: microwatts, text: uw => `${uw} uW` },
  [LOSS]: { label: () => "lost in supplies", show: permille => `${digits(permille / 10)}\u00a0%`,
    text: permille => `${Number(permille) / 10} %` },
};

function microwatts(uw) { return si(uw / 1e6, "W"); }

function knobOf(row) {
  const base = BigInt(row.value);
  return { id: priceId(row), kind: row.kind, key: row.key, label: KINDS[row.kind].label(row.key), base, now: base,
    low: BigInt(row.low), high: BigInt(row.high), set(value) { this.now = value; if (this.show) this.show(); } };
}

const priceId = row => `${row.kind} ${row.key}`;

const actionLabel = key => {
  const words = spoken(key.replace(/_issued/, "")).replace(/^dram/, "DRAM").replace(/^cpu/, "CPU");
  return words === "CPU cycles" ? "CPU, per core cycle" : words.replace(/s$/, "").replace(/\bmac\b/, "MAC");
};

function slider(knob, update) {
  const reach = 2, shown = el("output", {});
  const input = el("input", { type: "range", min: -reach, max: reach, step: 0.01, value: 0 });
  knob.show = () => {
    const factor = Number(knob.now) / Number(knob.base);
    input.value = String(Math.log2(factor));
    shown.textContent = `${KINDS[knob.kind].show(Number(knob.now))}${factor === 1 ? "" : `, ${ratio(factor)}`}`;
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => {
    const factor = 2 ** Number(input.value);
    knob.now = Number(input.value) === 0 ? knob.base : BigInt(Math.round(Number(knob.base) * factor));
    shown.textContent = `${KINDS[knob.kind].show(Number(knob.now))}, ${ratio(factor)}`;
    input.setAttribute("aria-valuetext", shown.textContent);
    update();
  });
  knob.show();
  return el("label", {}, el("span", {}, knob.label, shown), input);
}

// The energy of a part of a run in aJ by component, at the prices of the run or as `at` changes each of them.
function energyOf(own, part, at = (id, base) => base) {
  const sums = new Map(), add = (name, aj) => { sums.set(name, (sums.get(name) || 0n) + aj); };
  const loss = own.loss ? at(`${LOSS} ${LOSS}`, BigInt(own.loss.value)) : 0n, powers = new Map();
  // To the nearest whole unit, of each action and of all powers together: as the simulator rounds.
  const lost = price => (2n * price * loss + 1000n) / 2000n;
  let lostAj = 0n;
  own.rows.forEach((row, i) => {
    const amount = BigInt(part.amounts[i]), price = at(priceId(row), BigInt(row.value));
    add(row.component, amount * price);
    if (row.kind === "action") lostAj += amount * lost(price);
    else powers.set(row.kind, { amount, whole: (powers.get(row.kind)?.whole || 0n) + price });
  });
  for (const { amount, whole } of powers.values()) lostAj += amount * lost(whole);
  if (own.loss) add(own.loss.component, lostAj);
  return sums;
}

// The prices that the sliders have.
function priceNow(knobs) {
  const now = new Map(knobs.map(knob => [knob.id, knob.now]));
  return (id, base) => now.get(id) ?? base;
}

// The prices of another machine, where those of the sliders change alike.
function priceAlike(knobs) {
  const own = new Map(knobs.map(knob => [knob.id, knob]));
  return (id, base) => scaled(base, own.get(id));
}

const wholeOf = sums => [...sums.values()].reduce((sum, each) => sum + each, 0n);

function priceTitle(own) {
  const sums = energyOf(own, own.parts[0]), whole = Number(wholeOf(sums));
  const [name, most] = [...sums].reduce((a, b) => (b[1] > a[1] ? b : a));
  return `The ${spoken(name)} takes ${percent(Number(most), whole)} of the ${joules(whole)} of the run`;
}

function priceResult(own, knobs) {
  const before = energyOf(own, own.parts[0]), after = energyOf(own, own.parts[0], priceNow(knobs));
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
  const { prices: ours } = page.runs[0], at = priceAlike(knobs);
  const now = Number(wholeOf(energyOf(ours, ours.parts[0], priceNow(knobs))));
  const parts = page.runs.slice(1).map(({ prices: own }, i) =>
    againstWords(Number(wholeOf(energyOf(own, own.parts[0], at))) / now, runName(i + 1)));
  return parts.length ? ` (${parts.join(", ")}, its prices changed alike)` : "";
}

const againstWords = (over, name) =>
  (over >= 1 ? `${ratio(over)} less than ${name}` : `${ratio(1 / over)} more than ${name}`);

const scaled = (price, knob) => (knob && knob.now !== knob.base ? price * knob.now / knob.base : price);

// The prices that changed, as YAML that `trainsoc recost --energy` takes.
function priceYaml(knobs) {
  const changed = knobs.filter(knob => knob.now !== knob.base);
  if (!changed.length) return "# every price is as in the run: move a slider\n";
  const parts = {}, units = {};
  const put = (into, name, line) => { (into[name] ||= []).push(line); };
  for (const { kind, key, now } of changed) {
    const name = kind === "action" ? "dynamic" : kind, value = KINDS[kind].text(now);
    const [unit, ...rest] = key.split(".");
    if (kind === LOSS) parts.loss = value;
    else if (kind === "action" && rest.length) put(units[unit] ||= {}, name, `      ${rest.join(".")}: ${value}`);
    else if (kind === "static" && !OWN.has(key)) (units[unit] ||= {}).static = value;
    else put(parts, name, `  ${key}: ${value}`);
  }
  const lines = Object.entries(parts).flatMap(([name, of]) => (name === LOSS ? [`${name}: ${of}`] : [`${name}:`, ...of]));
  const further = Object.entries(units).flatMap(([unit, { dynamic, static: power }]) => [`  ${unit}:`,
    ...(dynamic ? ["    dynamic:", ...dynamic] : []), ...(power ? [`    static: ${power}`] : [])]);
  return `${[...lines, ...(further.length ? ["units:", ...further] : [])].join("\n")}\n`;
}

const OWN = new Set(["array", "scratchpad", "cpu", "interconnect", "controller", "dram", "vector", "board"]);

function partTable(own, knobs) {
  return tableBelow("Energy of each phase at these prices", () => {
    const holder = el("div");
    const fill = () => holder.replaceChildren(table("Energy of the run by phase, at the prices of the sliders", [
      { label: "phase", of: part => part.name || "whole run" },
      { label: "as simulated", number: true, of: part => Number(wholeOf(energyOf(own, part))),
        text: part => joules(Number(wholeOf(energyOf(own, part)))) },
      { label: "now", number: true, of: part => Number(wholeOf(energyOf(own, part, priceNow(knobs)))),
        text: part => joules(Number(wholeOf(energyOf(own, part, priceNow(knobs))))) },
    ], own.parts));
    fill();
    document.addEventListener("input", fill);
    return holder;
  });
}
