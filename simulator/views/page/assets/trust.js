// How far to trust it: what decides, what is a guess, which machines were measured, what ran.
function trust() {
  const { trust: own, hardware } = page.runs[0];
  const guesses = own.unsure.filter(row => row.kind === "guess"), bare = guesses.filter(row => row.low === row.high).length;
  return section("trust", "Trust",
    `${guesses.length} of ${own.constants} numbers behind ${hardware} are guesses; ${bare ? `${bare} have no range` : "each has a range"}`,
    own.sure ? pretty(own.sure) : "This run was not sampled: trainsoc run --samples 64 gives every number an interval.",
    own.notes.map(note => el("p", {}, note)), deciders(own), validation(own), unsure(own), provenance(own));
}

function deciders(own) {
  const rows = own.decided_by.filter(row => row.share >= 0.01).slice(0, 8);
  if (!rows.length) return null;
  const what = page.runs.length > 1 ? "the speedup" : "the time";
  return [el("h3", {}, `What decides how sure ${what} is`),
    el("p", { class: "about" }, "Shares of the variance over all samples: measure the first one next."),
    el("div", { class: "bars" }, rows.map(row => el("div", { class: "row" },
      el("span", { class: "what" }, row.name, el("small", {}, el("code", {}, row.setting),
        ` ${row.value}, ${pretty(`${row.low} .. ${row.high}`)}`)),
      el("span", { class: "track" }, bar(0, row.share, "blue")),
      el("span", { class: "amount" }, percent(row.share, 1)))))];
}

function validation(own) {
  const signed = value => `${["−", "", "+"][1 + Math.sign(Math.round(value))]}${Math.abs(value).toFixed(0)}\u00a0%`;
  return [el("h3", {}, "Measured machines near this one"),
    el("p", { class: "about" }, "Predicted against measured times: how wrong trainsoc is where somebody has measured."),
    own.validation.length ? table("Errors against measured machines, the nearest first", [
      { label: "in common", of: row => row.near }, { label: "machine", of: row => row.machine },
      { label: "what", class: "long", of: row => row.what }, { label: "rows", number: true, of: row => row.rows },
      { label: "mean error", number: true, of: row => row.mean, text: row => `${row.mean.toFixed(1)}\u00a0%` },
      { label: "bias", number: true, of: row => row.bias, text: row => signed(row.bias) },
      { label: "worst", number: true, of: row => row.worst, text: row => `${row.worst.toFixed(0)}\u00a0%` },
    ], own.validation) : el("p", {}, "None has a part in common with this machine.")];
}

function unsure(own) {
  return tableBelow(`Guesses and ranges among its inputs (${own.unsure.length})`, () => table("Numbers that are guesses or have a range", [
    { label: "setting", of: row => row.path, node: row => el("code", {}, row.path) },
    { label: "value", number: true, of: row => row.value }, { label: "from", number: true, of: row => row.low },
    { label: "to", number: true, of: row => row.high }, { label: "kind", of: row => row.kind },
    { label: "source", class: "long", of: row => row.source },
  ], own.unsure));
}

function provenance(own) {
  const pairs = [...Object.entries(own.digests).map(([name, value]) => [`digest of ${name === "energy" ? "prices" : `the ${name}`}`, value]),
    ...Object.entries(own.versions), ["precision", page.runs[0].precision]];
  return [el("h3", {}, "What ran"), el("dl", { class: "facts" }, pairs.filter(([, value]) => value)
    .map(([name, value]) => [el("dt", {}, name), el("dd", {}, el("code", {}, value))]).flat())];
}
