
// Numbers and times for people.
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

function sizeParts(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return [unit === 0 ? bytes.toFixed(0) : short(bytes), UNITS[unit]];
}

// Three digits, or what it takes.
function short(number) {
  return number >= 100 || Number.isInteger(number) ? number.toFixed(0) : number.toFixed(number >= 10 ? 1 : 2);
}

const size = (bytes) => sizeParts(bytes).join(" ");
const whole = (number) => Math.round(number).toLocaleString("en");
const perSecond = (count) => (count >= 100 ? whole(count) : count.toFixed(count >= 10 || count === 0 ? 0 : 1));
const percent = (share) => (share === null || share === undefined ? "–" : `${(share * 100).toFixed(share < 1 && share > 0 ? 1 : 0)}%`);

function milliseconds(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const ms = seconds * 1000;
  return ms >= 100 ? whole(ms) : ms.toFixed(ms >= 10 ? 1 : 2).replace(/\.0+$/, "");
}

function lasting(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const from = parts.findIndex(([length]) => seconds >= length);
  if (from < 0) return "0 s";
  const [length, unit] = parts[from];
  const first = `${Math.floor(seconds / length)} ${unit}`;
  const next = parts[from + 1];
  const rest = next ? Math.floor((seconds % length) / next[0]) : 0;
  return rest > 0 && from < 2 ? `${first} ${rest} ${next[1]}` : first;
}

const ago = (seconds) => (seconds === null || seconds === undefined ? "never" : seconds < 1 ? "now" : `${lasting(seconds)} ago`);
const many = (count, one, more) => `${whole(count)} ${count === 1 ? one : more}`;

function bar(share) {
  const filled = make("i");
  filled.style.width = `${Math.min(100, share * 100)}%`;
  return make("span", { className: "bar", ariaHidden: "true" }, filled);
}

// A table with its head; a column is a name and a class. A row with a key stays the same element, so
// that it keeps the focus, and what is open under it.
function table(element, columns, rows, empty) {
  if (rows.length === 0) {
    const cell = make("td", { className: "empty", colSpan: columns.length, textContent: empty });
    rows = [make("tr", {}, cell)];
  }
  if (element.tBodies.length === 0) {
    const head = columns.map(([name, kind]) => make("th", { className: kind ?? "", scope: "col", textContent: name }));
    fill(element, make("thead", {}, make("tr", {}, ...head)), make("tbody"));
  }
  const body = element.tBodies[0];
  const kept = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  const focused = document.activeElement;
  place(body, rows.map((row) => renew(kept.get(row.dataset.id), row)));
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function renew(kept, row) {
  if (row.dataset.id === undefined || kept === undefined || kept === row) return row;
  kept.className = row.className;
  [...row.cells].forEach((cell, n) => kept.cells[n].innerHTML === cell.innerHTML || kept.cells[n].replaceWith(cell));
  return kept;
}

function place(body, rows) {
  const wanted = new Set(rows);
  for (const row of [...body.rows]) if (!wanted.has(row)) row.remove();
  rows.forEach((row, n) => row === body.rows[n] || body.insertBefore(row, body.rows[n] ?? null));
}

function row(columns, cells, id) {
  const cell = (content, n) => {
    const made = make("td", { className: columns[n][1] ?? "" }, content);
    made.dataset.name = columns[n][0];
    return made;
  };
  const made = make("tr", {}, ...cells.map(cell));
  if (id !== undefined) made.dataset.id = id;
  return made;
}

// A URL, which may be broken where its parts end.
const breakable = (url) => url.split(/(?<=[/?&=._-])/).flatMap((part) => [part, make("wbr")]);
