
// Purging, which somebody has to confirm.
let purging = null;

function askToPurge(object, soft) {
  purging = { object, soft };
  at("purge-title").textContent = soft ? "Make this stale?" : "Purge this?";
  at("purge-what").textContent = object.place;
  at("purge-says").textContent = soft
    ? "All variants of this URL: the origin is asked before they are used again."
    : `All variants of this URL: their chunks are removed from disk, and the next viewer's come from the origin.`;
  at("purge-yes").textContent = soft ? "Make stale" : "Purge";
  const needsToken = known.change === "needs_token" && known.token === null;
  at("purge-token").hidden = !needsToken;
  at("purge-wrong").hidden = known.change !== "refused";
  if (known.change === "refused") at("purge-wrong").textContent = "Set admin.token_file to change anything from another machine.";
  at("purge-yes").disabled = known.change === "refused";
  at("purge").showModal();
  (needsToken ? at("token") : at("purge-no")).focus();
}

function outcomeOf({ place }, { objects, bytes, soft, fleet }) {
  const what = `${many(objects, "object", "objects")}, ${size(bytes)} on disk`;
  const told = fleet === undefined ? "" : fleet.told ? " The fleet is told." : " The fleet is not told yet: the tier can't be written to, which is tried again.";
  return `${soft ? "Made stale" : "Purged"}: ${place} (${what}).${told}`;
}

async function confirmed(event) {
  event.preventDefault();
  const { object, soft } = purging;
  at("purge-yes").disabled = true;
  try {
    if (!at("purge-token").hidden && !(await tryToken(at("token").value))) throw new Refused(401, "");
    const outcome = await ask("/purge", { url: `http://${object.place}`, soft });
    at("token").value = "";
    at("purge").close();
    if (opened.id === object.object) sayDone(outcomeOf(object, outcome), opened.id, !soft);
    await Promise.all([loadList(false), loadObject()]);
  } catch (error) {
    const wrong = error instanceof Refused && error.status === 401;
    if (wrong) known.token = null;
    at("purge-token").hidden = !wrong;
    at("purge-wrong").hidden = false;
    at("purge-wrong").textContent = wrong ? WRONG_TOKEN : error.message;
    if (wrong) at("token").select();
  }
  at("purge-yes").disabled = false;
}

at("purge-form").addEventListener("submit", confirmed);
at("purge-no").addEventListener("click", () => at("purge").close());
at("close").addEventListener("click", () => unpick(true));
at("unlock").addEventListener("click", () => openEnter(""));
at("more").addEventListener("click", () => loadList(true).catch(notice));
at("find").addEventListener("submit", (event) => event.preventDefault());
for (const [id, kind] of [["search", "input"], ["sort", "change"]]) {
  at(id).addEventListener(kind, () => {
    list.search = at("search").value.trim();
    list.sort = at("sort").value;
    list.lines = [];
    done.row.remove();
    loadList(false).catch(notice);
  });
}
at("pause").addEventListener("click", () => {
  known.paused = !known.paused;
  at("pause").textContent = known.paused ? "Go on" : "Pause";
  at("pause").ariaPressed = String(known.paused);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) unpick(true);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown?.picture.paint());

buildPlots();
keepDoing(2000, overview);
keepDoing(4000, () => loadList(false));
keepDoing(1000, loadObject);
