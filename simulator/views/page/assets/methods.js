// Accuracy against energy: runs that noted their accuracy after each epoch, a line each.
function methods() {
  const runs = page.runs.filter(run => run.accuracy.length);
  if (!runs.length) return null;
  const curves = runs.map((run, place) => ({ name: methodName(run), place, points: spent(run) }));
  const drawing = figure("Accuracy against energy; the table below has the points", width => methodPlot(curves, width));
  const best = curves.reduce((a, b) => (b.points.at(-1).accuracy > a.points.at(-1).accuracy ? b : a));
  return section("methods", "Methods",
    `${best.name} ends at ${percent(best.points.at(-1).accuracy, 1)} for ${si(best.points.at(-1).energy, "J")}`,
    "Test accuracy after each epoch, as the training noted it, against the energy spent until then.",
    drawing, tableBelow("Accuracy as a table", () => table("Accuracy and energy after each epoch", [
      { label: "method", of: row => row.name }, { label: "epoch", number: true, of: row => row.epoch },
      { label: "energy", number: true, of: row => row.energy, text: row => si(row.energy, "J") },
      { label: "accuracy", number: true, of: row => row.accuracy, text: row => percent(row.accuracy, 1) },
    ], curves.flatMap(curve => curve.points.map(point => ({ name: curve.name, ...point }))))));
}

const methodName = run => (page.runs.some(each => each !== run && each.method === run.method) ? run.name : run.method);

function spent(run) {
  let energy = 0;
  return run.accuracy.slice(0, run.epochs.length).map((accuracy, epoch) => {
    energy += run.epochs[epoch].energy_j;
    return { epoch: epoch + 1, energy, accuracy };
  });
}

function methodPlot(curves, width) {
  const box = { left: 62, right: width - 110, top: 34, bottom: 320 };
  const points = curves.flatMap(curve => curve.points), most = Math.max(...points.map(point => point.energy));
  const least = Math.min(...points.map(point => point.accuracy)), top = Math.max(...points.map(point => point.accuracy));
  const unit = axisUnit(most, "J"), room = (top - least) * 0.08 || 0.01;
  const x = linear([0, most * 1.03], [box.left, box.right]);
  const y = linear([Math.max(0, least - room), Math.min(1, top + room)], [box.bottom, box.top]);
  return { height: 366, nodes: [
    axisBelow(x, box, `energy spent (${unit.unit})`, unit.format),
    axisLeft(y, box, "test accuracy (%)", value => digits(100 * value)),
    curves.map(({ points: own, place }) => [
      svg("path", { d: own.map((point, i) => `${i ? "L" : "M"}${x(point.energy)},${y(point.accuracy)}`).join(""), fill: "none",
        stroke: paint(ORDER[place % ORDER.length]), "stroke-width": 2 }),
      own.map(point => withTip(svg("path", { d: shapePath(SHAPES[place % SHAPES.length], x(point.energy), y(point.accuracy), 5),
        fill: paint(ORDER[place % ORDER.length]), stroke: "var(--paper)" }), () => facts(curves[place].name, [["epoch", String(point.epoch)],
        ["energy", si(point.energy, "J")], ["accuracy", percent(point.accuracy, 1)]]))),
    ]),
    endLabels(curves, x, y),
  ] };
}

// The name of each curve at its end, moved apart where they would overlap.
function endLabels(curves, x, y) {
  const labels = curves.map(({ name, points }) => ({ name, x: x(points.at(-1).energy) + 10, y: y(points.at(-1).accuracy) + 4 }))
    .sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => { if (i) label.y = Math.max(label.y, labels[i - 1].y + 15); });
  return labels.map(label => text(label.x, label.y, label.name, { class: "halo" }));
}
