// What is stored: the list, and one object of it, which is open under its row.
const list = { search: "", sort: "recent", lines: [], next: null, readers: new Map() };
const opened = { id: null, table: null, row: null, panel: at("object") };

function picker(id, place, table) {
  const button = make("button", { type: "button", className: "link", title: place }, ...breakable(place));
  button.ariaExpanded = String(isOpen(id, table));
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    pick(id, table);
  });
  return button;
}

// A row that opens an object.
function picking(columns, cells, id, table) {
  const line = row(columns, cells, id);
  line.className = isOpen(id, table) ? "pick picked" : "pick";
  line.addEventListener("click", () => pick(id, table));
  return line;
}

const isOpen = (id, table) => opened.id === id && opened.table === table;
const controlOf = (id, table) => at(table).querySelector(`tr[data-id="${id}"] button`);

// What was purged, said where it is, or was, until something else is opened or looked for.
const done = { id: null, row: make("tr", {}, make("td", { className: "done", tabIndex: -1, role: "status" })) };

function sayDone(text, id, isGone) {
  const cell = done.row.cells[0];
  cell.colSpan = opened.row.cells[0].colSpan;
  cell.textContent = text;
  done.id = isGone ? null : id;
  opened.row.after(done.row);
  if (isGone) {
    controlOf(opened.id, opened.table)?.closest("tr").remove();
    unpick(false);
  }
  cell.focus({ preventScroll: true });
  cell.scrollIntoView({ block: "nearest" });
}

// What is under a row besides: the open object, or what was purged there. Where the row has gone, it
// stays where it was.
function withUnder(rows, table, under, id) {
  if (!under?.isConnected || under.closest("table").id !== table) return rows;
  const below = rows.findIndex((row) => row.dataset.id === id) + 1;
  return rows.toSpliced(below || [...at(table).tBodies[0].rows].indexOf(under), 0, under);
}

const withOpened = (rows, table) => withUnder(withUnder(rows, table, done.row, done.id), table, opened.row, opened.id);

const LIST = [["Object", "place"], ["Stored", "n"], ["Length", "n wide"], ["Hits", "n"], ["Last used", "n"], ["Age", "n wide"]];
const LINES = 50;
const MOST_LINES = 500;

async function loadList(more) {
  const limit = more ? LINES : Math.min(MOST_LINES, Math.max(LINES, list.lines.length));
  const asked = { search: list.search, sort: list.sort, limit };
  if (more) asked.after = list.next;
  const wanted = `${list.search} ${list.sort}`;
  const page = await ask("/api/objects" + query(asked));
  // Somebody may have typed on meanwhile.
  if (wanted !== `${list.search} ${list.sort}`) return;
  list.lines = more ? [...list.lines, ...page.objects] : page.objects;
  list.next = page.next;
  const learning = page.learning ? ", more are being found" : "";
  at("objects-count").textContent = `${many(page.total, "object", "objects")} on disk${learning}`;
  at("more").hidden = page.next === null || list.lines.length >= MOST_LINES;
  showList();
}

function showList() {
  const times = new Map();
  list.lines.forEach(({ place }) => times.set(place, (times.get(place) ?? 0) + 1));
  const rows = list.lines.map((one) => {
    const share = one.stored / Math.max(1, one.total);
    const name = make("span", {}, picker(one.id, one.place, "objects"));
    if (times.get(one.place) > 1) name.append(make("span", { className: "id", textContent: one.id }));
    return picking(LIST, [
      name,
      make("span", {}, size(one.stored), bar(share)),
      size(one.total),
      found(one, list.readers.get(one.id)),
      used(one, list.readers.get(one.id)),
      lasting(one.age),
    ], one.id, "objects");
  });
  const empty = list.search ? "Nothing that is stored has this in its URL." : "Nothing is stored yet.";
  table(at("objects"), LIST, withOpened(rows, "objects"), empty);
}

// Whose first reader is still there was found by nobody yet.
const found = ({ hits }, readers) => (hits === 0 && readers > 0 ? "–" : whole(hits));
const used = ({ last_hit: last }, readers) => (readers > 0 ? "being read" : ago(last));

async function pick(id, table) {
  done.row.remove();
  if (isOpen(id, table)) return unpick(true);
  unpick(false);
  Object.assign(opened, { id, table });
  markOpened();
  try {
    await loadObject();
    opened.panel.scrollIntoView({ block: "nearest" });
  } catch (error) {
    notice(error);
  }
}

// Closes the object; the row's control has the focus again, if the object had it.
function unpick(returns) {
  const { id, table, row, panel } = opened;
  if (id === null) return;
  opened.id = null;
  const hadFocus = panel.contains(document.activeElement);
  row?.remove();
  markOpened();
  if (returns || hadFocus) (controlOf(id, table) ?? at("search")).focus({ preventScroll: true });
}

function markOpened() {
  for (const line of document.querySelectorAll("tr.pick")) {
    const open = isOpen(line.dataset.id, line.closest("table").id);
    line.classList.toggle("picked", open);
    line.querySelector("button").ariaExpanded = String(open);
  }
}

async function loadObject() {
  const { id } = opened;
  if (id === null) return;
  const { objects } = await ask("/api/object" + query({ id }));
  if (id !== opened.id) return;
  if (objects.length === 0) return unpick(false);
  if (!opened.row?.isConnected) putOpened();
  showObject(objects[0]);
}

function putOpened() {
  const { id, table, panel } = opened;
  panel.hidden = false;
  opened.row ??= make("tr", { className: "opened" }, make("td", {}, panel));
  opened.row.cells[0].colSpan = at(table).rows[0].cells.length;
  const line = controlOf(id, table)?.closest("tr");
  line ? line.after(opened.row) : at(table).tBodies[0].prepend(opened.row);
}

let shown = null;

function showObject(object) {
  if (shown?.object.object !== object.object) {
    const picture = new ChunkPicture();
    const facts = make("dl", { className: "facts" });
    const button = (text, soft) => {
      const made = make("button", { type: "button", textContent: text });
      made.addEventListener("click", () => askToPurge(shown.object, soft));
      return made;
    };
    const buttons = make("div", { className: "buttons" }, button("Purge …", false), button("Make stale …", true));
    fill(at("object-body"), picture.element, facts, buttons);
    shown = { picture, facts };
  }
  shown.object = object;
  fill(at("object-title"), ...breakable(object.place));
  shown.picture.show(object);
  const fresh = object.fresh_for >= 0 ? `fresh for ${lasting(object.fresh_for)}` : `stale for ${lasting(-object.fresh_for)}`;
  const told = [
    ["Present", `${whole(object.present)} of ${many(object.chunks, "chunk", "chunks")}`],
    ["Stored", object.total === null ? size(object.stored) : `${size(object.stored)} of ${size(object.total)}`],
    ["Freshness", fresh],
    ["Age", lasting(object.age)],
    ["Hits", object.hits === 0 ? "none yet" : `${whole(object.hits)}, ${ago(object.last_hit)}`],
    ["Readers", whole(object.readers)],
    ["Status", String(object.status)],
    ["ETag", object.etag ?? "none"],
    ["Last modified", object.last_modified ?? "none"],
    ["Tags", object.tags.join(" ") || "none"],
    ["Key", [...object.extras, object.varies ? "fields that Vary names" : ""].filter(Boolean).join(", ") || "host, path and query"],
    ["Name in the store", object.object],
  ];
  fill(shown.facts, ...told.map(([name, text]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: text }))));
}
