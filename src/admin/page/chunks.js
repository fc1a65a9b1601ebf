
// The chunks of an object as a picture: a cell for each or, where there are many, for some.
const LARGEST_CELL = 22;
const SMALLEST_CELL = 5;
const MOST_ROWS = 44;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// What each cell shows: how much of it is there, is coming in, is expected, and who reads there.
function cellsOf(object, most) {
  const { chunks, map } = object;
  const step = Math.max(map.per_cell, Math.ceil(chunks / most / map.per_cell) * map.per_cell);
  const count = Math.ceil(chunks / step);
  const cells = Array.from({ length: count }, (_, n) => ({
    first: n * step, last: Math.min(chunks, (n + 1) * step) - 1, present: 0, coming: 0, expected: 0, readers: 0,
  }));
  let chunk = 0;
  for (const [length, present] of map.cells) {
    for (let n = 0; n < length; n += 1, chunk += map.per_cell) cells[Math.floor(chunk / step)].present += present;
  }
  const mark = (kind, first, last) => {
    for (let n = Math.floor(first / step); n <= Math.floor(Math.min(last, chunks - 1) / step); n += 1) {
      const cell = cells[n];
      if (cell) cell[kind] += Math.min(last, cell.last) - Math.max(first, cell.first) + 1;
    }
  };
  object.coming.forEach(([first, last]) => mark("coming", first, last));
  object.transfers.forEach((transfer) => mark("expected", transfer.chunk, transfer.last ?? chunks - 1));
  object.places.forEach(([place, count]) => {
    const cell = cells[Math.min(cells.length - 1, Math.floor(place / step))];
    if (cell) cell.readers += count;
  });
  return cells;
}

class ChunkPicture {
  constructor() {
    this.canvas = make("canvas", { className: "map" });
    this.canvas.setAttribute("role", "img");
    this.told = make("span", { className: "quiet" });
    this.legend = make("ul", { className: "legend" });
    this.element = make("div", {}, this.canvas, make("div", { className: "under-map" }, this.legend, this.told));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.tell(null));
    new ResizeObserver(() => this.object && this.paint()).observe(this.element);
  }

  show(object) {
    this.object = object;
    this.paint();
    const entry = (name, text) => {
      const square = make("i", { className: name === "present" ? "" : name === "reader" ? "reader" : "edge" });
      square.style.background = `var(--${name})`;
      return make("li", {}, square, text);
    };
    fill(this.legend, entry("present", "present"), entry("coming", "being fetched"), entry("expected", "expected"), entry("missing", "missing"), entry("reader", "readers"));
    this.canvas.setAttribute("aria-label", `${object.present} of ${object.chunks} chunks are present, ${many(object.readers, "reader", "readers")}`);
    this.tell(null);
  }

  paint() {
    const width = this.element.clientWidth;
    if (width === 0) return;
    const columnsAt = (cell) => Math.max(1, Math.floor((width + 1) / (cell + gap(cell))));
    this.cells = cellsOf(this.object, columnsAt(SMALLEST_CELL) * MOST_ROWS);
    let cell = LARGEST_CELL;
    while (cell > SMALLEST_CELL && Math.ceil(this.cells.length / columnsAt(cell)) * (cell + gap(cell)) > 190) cell -= 1;
    this.pitch = cell + gap(cell);
    this.columns = columnsAt(cell);
    const rows = Math.max(1, Math.ceil(this.cells.length / this.columns));
    const height = rows * this.pitch;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const colours = Object.fromEntries(["present", "coming", "expected", "missing", "reader", "edge", "card"].map((name) => [name, colour(name)]));
    this.cells.forEach((one, n) => {
      const [x, y] = [(n % this.columns) * this.pitch, Math.floor(n / this.columns) * this.pitch];
      paintCell(pen, one, x, y, cell, colours);
    });
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const [column, line] = [event.clientX - box.left, event.clientY - box.top].map((at) => Math.floor(at / this.pitch));
    const inside = column >= 0 && column < this.columns;
    this.tell(inside ? this.cells[line * this.columns + column] ?? null : null);
  }

  tell(cell) {
    const { chunk_size: length, total } = this.object;
    if (cell === null) {
      const per = this.cells && this.cells.length > 0 ? this.cells[0].last - this.cells[0].first + 1 : 1;
      this.told.textContent = per > 1 ? `a cell is ${whole(per)} chunks of ${size(length)}` : `a cell is a chunk of ${size(length)}`;
      return;
    }
    const all = cell.last - cell.first + 1;
    const name = all === 1 ? `chunk ${whole(cell.first)}` : `chunks ${whole(cell.first)} – ${whole(cell.last)}, ${whole(cell.present)} present`;
    const from = `at ${size(cell.first * length)}${total ? ` of ${size(total)}` : ""}`;
    const what = cell.coming > 0 ? "being fetched" : cell.present === all ? "present" : cell.present > 0 ? null : cell.expected > 0 ? "expected" : "missing";
    const who = cell.readers > 0 ? many(cell.readers, "reader", "readers") : null;
    this.told.textContent = [name, from, what, who].filter(Boolean).join(", ");
  }
}

const gap = (cell) => (cell > 9 ? 2 : 1);

function paintCell(pen, one, x, y, length, colours) {
  const all = one.last - one.first + 1;
  pen.fillStyle = one.coming > 0 ? colours.coming : one.expected > 0 && one.present < all ? colours.expected : colours.missing;
  square(pen, x, y, length);
  if (one.present > 0 && one.coming === 0) {
    pen.globalAlpha = one.present === all ? 1 : 0.4 + 0.45 * (one.present / all);
    pen.fillStyle = colours.present;
    square(pen, x, y, length);
    pen.globalAlpha = 1;
  }
  // What is not there stands out from the card by its edge only.
  if (one.present < all || one.coming > 0) {
    pen.strokeStyle = colours.edge;
    outline(pen, x + 0.5, y + 0.5, length - 1);
    pen.stroke();
  }
  if (one.readers > 0) {
    const spot = Math.max(3, Math.round(length * 0.45));
    // A ring around it, since it is as dark as a chunk.
    disc(pen, x + length / 2, y + length / 2, spot / 2 + (length > 9 ? 2 : 1), colours.card);
    disc(pen, x + length / 2, y + length / 2, spot / 2, colours.reader);
  }
}

function disc(pen, x, y, radius, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

function square(pen, x, y, length) {
  outline(pen, x, y, length);
  pen.fill();
}

function outline(pen, x, y, length) {
  pen.beginPath();
  pen.roundRect(x, y, length, length, length > 9 ? 3 : 1);
}
