// Numbers as people read them: three digits and SI prefixes, as the command line has them.
const PS = 1e12, AJ = 1e18;
const PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"],
  [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"], [1e-15, "f"], [1e-18, "a"]];
const BARE = new Set(["", "mm²", "mm2", "%", "x"]);

function digits(value) {
  if (!Number.isFinite(value)) return "-";
  const rounded = Number(value.toPrecision(3));
  const size = Math.abs(rounded);
  if (!size) return "0";
  if (size >= 1e15 || size < 1e-6) return rounded.toExponential();
  return String(rounded);
}

function prefixOf(value, unit) {
  if (!value || BARE.has(unit)) return [1, ""];
  const size = Math.abs(value);
  return PREFIXES.find(([factor]) => size >= factor * 0.9995) || PREFIXES.at(-1);
}

function si(value, unit) {
  if (value === null || value === undefined) return "-";
  const shown = unit === "mm2" ? "mm²" : unit;
  const [factor, prefix] = prefixOf(value, unit);
  const text = `${digits(value / factor)} ${prefix}${shown}`.trim();
  return text.replaceAll(" ", "\u00a0");
}

function percent(part, whole) {
  if (!whole) return "-";
  const share = 100 * part / whole;
  const text = share > 0 && share < 0.1 ? "<0.1" : share < 9.95 ? share.toFixed(1) : share.toFixed(0);
  return `${text}\u00a0%`;
}

function ratio(value) {
  return Number.isFinite(value) ? `${digits(value)}x` : "-";
}

// A plain number with a prefix: 23 M.
function count(value) {
  if (value === null || value === undefined) return "-";
  const [factor, prefix] = Math.abs(value) < 1000 ? [1, ""] : prefixOf(value, "n");
  return `${digits(value / factor)}\u00a0${prefix}`.trim();
}

const seconds = ps => si(ps / PS, "s");
const joules = aj => si(aj / AJ, "J");

// Sentences come as the terminal prints them; a page has better signs.
function pretty(text) {
  return text.replace(/(\d) x /g, "$1\u00a0× ").replace(/ \.\. /g, " – ").replace(/mm2/g, "mm²");
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

const SPOKEN = { cpu: "CPU", dram: "DRAM", optimizer_state: "optimizer state" };
const spoken = name => SPOKEN[name] || name.replaceAll("_", " ");
