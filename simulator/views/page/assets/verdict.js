// What it costs in one sentence, the headline numbers, and how the runs compare.
function header() {
  const run = page.runs[0], precision = run ? ` (${run.precision})` : "";
  const [first, ...rest] = page.verdict.map(sentence => pretty(sentence.replace(precision, "")));
  const about = run ? [run.description, run.method === "as traced" ? "" : `method ${run.method}`,
    run.precision].filter(Boolean).join("; ") : "";
  return el("header", { class: "top" },
    el("p", { class: "eyebrow" }, about || page.title),
    el("h1", {}, first || page.title),
    rest.map(sentence => el("p", {}, sentence)),
    run ? cardList(run) : null,
    page.runs.length > 1 ? comparison() : null,
    [run && run.command, ...[...page.spaces, ...page.scenarios].map(each => each.command)].filter(Boolean).map(command));
}

function cardList(run) {
  return el("ul", { class: "cards" }, run.cards.map(card => el("li", {},
    el("span", { class: "name" }, card.label),
    el("span", { class: "value" }, pretty(card.text).replaceAll(" ", "\u00a0"), " ",
      card.interval ? el("small", {}, pretty(card.interval).replaceAll(" ", "\u00a0")) : null),
    card.against ? el("span", { class: "against" }, pretty(card.against)) : null,
    card.note ? el("span", { class: "more" }, card.note) : null)));
}

// Time and energy per epoch of all runs, a bar each, with the interval of each as a whisker.
function comparison() {
  const keys = ["latency", "energy"].filter(key => page.runs.every(run => cardOf(run, key)));
  return el("div", { class: "pair" }, keys.map(key => {
    const cards = page.runs.map(run => cardOf(run, key));
    const most = Math.max(...cards.map(card => Math.max(card.value, card.high ?? 0)));
    return el("div", {}, el("h2", { class: "small" }, cards[0].label), el("div", { class: "bars" },
      cards.map((card, place) => el("div", { class: "row" },
        el("span", { class: "what" }, runName(place)),
        el("span", { class: "track" }, bar(0, card.value / most, place ? "silver" : "blue"),
          card.low === null ? null : whisker(card.low / most, card.high / most)),
        el("span", { class: "amount" }, si(card.value, card.unit))))));
  }));
}

const cardOf = (run, key) => run.cards.find(card => card.key === key);

const runName = place => page.runs[place].name;

const share = part => `${100 * Math.max(0, Math.min(1, part))}%`;

function bar(from, to, colour, more = {}, ...children) {
  return el("span", { ...more, style: { left: share(from), width: share(to - from),
    background: paint(colour), ...more.style } }, children);
}

function whisker(low, high) {
  return el("span", { class: "whisker", title: "interval", style:
    { left: share(low), width: share(high - low) } });
}
