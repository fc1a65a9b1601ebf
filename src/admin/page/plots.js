
// Small plots over the last minutes.
const SVG = "http://www.w3.org/2000/svg";
const KEPT = 150;
// Seconds of a sample.
const EACH = 2;
const WIDTH = 300;
const HEIGHT = 90;

function draw(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

class Plot {
  // A series has a name, a colour, and says its value for a sample; null where there is none.
  constructor(place, { title, series, stacked, show, top, unit }) {
    Object.assign(this, { title, series, stacked, show, top, unit });
    this.figure = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.legend = make("ul", { className: "legend" });
    this.said = make("span");
    this.since = make("span");
    const times = make("p", { className: "times" }, this.since, make("span", { textContent: "now" }));
    this.element = make("div", { className: "plot" }, make("h3", {}, title, this.said), this.figure, times, this.legend);
    place.append(this.element);
    this.pointed = null;
    this.figure.addEventListener("pointermove", (event) => this.point(event));
    this.figure.addEventListener("pointerleave", () => {
      this.pointed = null;
      this.update(this.samples);
    });
  }

  point(event) {
    const box = this.figure.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const from = KEPT - this.samples.length;
    this.pointed = Math.round(share * (KEPT - 1)) - from;
    this.update(this.samples);
  }

  update(samples) {
    this.samples = samples;
    const values = this.series.map((series) => samples.map(series.value));
    const sums = samples.map((_, n) => values.reduce((sum, of) => sum + (of[n] ?? 0), 0));
    const highest = this.stacked ? Math.max(0, ...sums) : Math.max(0, ...values.flat().map((v) => v ?? 0));
    const top = this.top ?? nice(highest, this.unit);
    const x = (n) => ((KEPT - samples.length + n) / (KEPT - 1)) * WIDTH;
    const y = (value) => HEIGHT - (top > 0 ? Math.min(1, value / top) : 0) * HEIGHT;
    const lines = [0, 0.5, 1].map((share) => draw("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * share, y2: HEIGHT * share }));
    const shapes = this.stacked ? this.layers(values, x, y) : this.curves(values, x, y);
    const chosen = samples[this.pointed] === undefined ? samples.length - 1 : this.pointed;
    const mark = samples[this.pointed] === undefined ? [] : [draw("line", { class: "at", x1: x(chosen), x2: x(chosen), y1: 0, y2: HEIGHT })];
    this.figure.replaceChildren(...lines, ...shapes, ...mark);
    this.figure.setAttribute("aria-label", this.describe(values, chosen));
    const range = highest > 0 || this.top ? `0 – ${this.show(top)}` : "none lately";
    this.said.textContent = mark.length > 0 ? clock(samples[chosen].at) : range;
    this.since.textContent = `${lasting(KEPT * EACH)} ago`;
    fill(this.legend, ...this.series.map((series, s) => this.entry(series, values[s][chosen])));
  }

  entry(series, value) {
    const colour = make("i");
    colour.style.background = `var(--${series.colour})`;
    const shown = value === null || value === undefined ? "–" : this.show(value);
    return make("li", {}, colour, series.name, make("b", { textContent: shown }));
  }

  describe(values, chosen) {
    const each = this.series.map((series, s) => {
      const value = values[s][chosen];
      return `${series.name} ${value === null || value === undefined ? "none" : this.show(value)}`;
    });
    return `${this.title}: ${each.join(", ")}`;
  }

  layers(values, x, y) {
    const below = values[0].map(() => 0);
    return this.series.map((series, s) => {
      const lower = below.map((value, n) => [x(n), y(value)]).reverse();
      values[s].forEach((value, n) => (below[n] += value ?? 0));
      const upper = below.map((value, n) => [x(n), y(value)]);
      return draw("polygon", { points: [...upper, ...lower].map((p) => p.map(round).join()).join(" "), fill: `var(--${series.colour})` });
    });
  }

  curves(values, x, y) {
    return this.series.map((series, s) => {
      let path = "";
      let drawing = false;
      values[s].forEach((value, n) => {
        if (value === null || value === undefined) return void (drawing = false);
        path += `${drawing ? "L" : "M"}${round(x(n))} ${round(y(value))}${drawing ? "" : "h.01"}`;
        drawing = true;
      });
      return draw("path", { class: "curve", d: path, stroke: `var(--${series.colour})` });
    });
  }
}

const round = (number) => Math.round(number * 100) / 100;
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

// The next round number; of bytes, a round number of their unit.
function nice(number, unit = 1) {
  if (number <= 0) return 1;
  while (unit > 1 && number >= unit * 1024) unit *= 1024;
  const scale = unit * 10 ** Math.floor(Math.log10(number / unit));
  return [1, 2, 5, 10].map((step) => step * scale).find((step) => step >= number);
}
