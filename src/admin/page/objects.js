
// What is stored: the list, and one object of it.
const list = { search: "", sort: "recent", lines: [], next: null, picked: null };

function picker(id, place) {
  const button = make("button", { type: "button", className: "link", textContent: place });
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    pick(id);
  });
  return button;
}

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
  const focused = document.activeElement?.closest?.("#objects tr")?.dataset.id;
  const times = new Map();
  list.lines.forEach(({ place }) => times.set(place, (times.get(place) ?? 0) + 1));
  const rows = list.lines.map((one) => {
    const share = one.stored / Math.max(1, one.total);
    const name = make("span", {}, picker(one.id, one.place));
    if (times.get(one.place) > 1) name.append(make("span", { className: "id", textContent: one.id }));
    const line = row(LIST, [
      name,
      make("span", {}, size(one.stored), bar(share)),
      size(one.total),
      whole(one.hits),
      ago(one.last_hit),
      lasting(one.age),
    ]);
    line.className = one.id === list.picked ? "pick picked" : "pick";
    line.dataset.id = one.id;
    line.addEventListener("click", () => pick(one.id));
    return line;
  });
  table(at("objects"), LIST, rows, list.search ? "Nothing that is stored has this in its URL." : "Nothing is stored yet.");
  if (focused) at("objects").querySelector(`tr[data-id="${focused}"] button`)?.focus();
}

const pictures = [];

async function pick(id) {
  list.picked = id;
  showList();
  try {
    await loadObject();
    at("object").scrollIntoView({ block: "nearest" });
    at("object").focus({ preventScroll: true });
  } catch (error) {
    notice(error);
  }
}

function unpick() {
  list.picked = null;
  at("object").hidden = true;
  showList();
}

async function loadObject() {
  const id = list.picked;
  if (id === null) return;
  const { objects } = await ask("/api/object" + query({ id }));
  if (id !== list.picked) return;
  if (objects.length === 0) return unpick();
  at("object").hidden = false;
  showObject(objects[0]);
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
  at("object-title").textContent = object.place;
  shown.picture.show(object);
  const fresh = object.fresh_for >= 0 ? `fresh for ${lasting(object.fresh_for)}` : `stale for ${lasting(-object.fresh_for)}`;
  const told = [
    ["Present", `${whole(object.present)} of ${many(object.chunks, "chunk", "chunks")}`],
    ["Stored", object.total === null ? size(object.stored) : `${size(object.stored)} of ${size(object.total)}`],
    ["Freshness", fresh],
    ["Age", lasting(object.age)],
    ["Hits", `${whole(object.hits)}, ${ago(object.last_hit)}`],
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
