
// What is in use and what happened lately.
const samples = [];
let plots = [];

const rate = (pick) => (sample) => (sample.over.seconds > 0 ? pick(sample.over) / sample.over.seconds : 0);
const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
const series = (name, colour, value) => ({ name, colour, value });

function buildPlots() {
  const place = at("plots");
  const first = (kind, share) => (sample) => sample.over.first_byte[kind]?.[share] ?? null;
  plots = [
    new Plot(place, {
      title: "Bytes sent",
      stacked: true,
      unit: 1024,
      show: (bytes) => `${size(bytes)}/s`,
      series: ["memory", "disk", "flight", "origin", "passed"].map((from) => series(from === "flight" ? "in flight" : from, from, rate((over) => over.bytes[from]))),
    }),
    new Plot(place, {
      title: "Requests",
      stacked: true,
      show: (count) => `${perSecond(count)}/s`,
      series: [
        ["store", "disk"], ["both", "flight"], ["origin", "origin"], ["passed", "passed"], ["own", "own"],
      ].map(([from, colour]) => series(from, colour, rate((over) => over.requests[from]))),
    }),
    new Plot(place, {
      title: "Hit ratio",
      top: 1,
      show: percent,
      series: [
        series("requests", "disk", (sample) => sample.over.hit_ratio.requests),
        series("bytes", "origin", (sample) => sample.over.hit_ratio.bytes),
      ],
    }),
    new Plot(place, {
      title: "First byte, cached",
      show: (seconds) => `${milliseconds(seconds)} ms`,
      series: [["p50", "flight"], ["p95", "disk"], ["p99", "memory"]].map(([share, colour]) => series(share, colour, first("cached", share))),
    }),
    new Plot(place, {
      title: "First byte, not cached",
      show: (seconds) => `${milliseconds(seconds)} ms`,
      series: [["p50", "flight"], ["p95", "disk"], ["p99", "memory"]].map(([share, colour]) => series(share, colour, first("not_cached", share))),
    }),
    new Plot(place, {
      title: "Under way",
      show: whole,
      series: [
        series("streams", "disk", (sample) => sample.now.streams),
        series("fills", "origin", (sample) => sample.now.fills),
      ],
    }),
    new Plot(place, {
      title: "Waiting for origins",
      stacked: true,
      show: whole,
      series: [
        ["small", "disk"], ["medium", "flight"], ["large", "origin"], ["read_ahead", "passed"], ["completion", "own"],
      ].map(([kind, colour]) => series(kind.replace("_", " "), colour, (sample) => sample.now.queued[kind])),
    }),
    new Plot(place, {
      title: "Evicted chunks",
      show: (count) => `${perSecond(count)}/s`,
      series: [series("evicted", "passed", rate((over) => over.evictions))],
    }),
    new Plot(place, {
      title: "Bytes in flight",
      unit: 1024,
      show: size,
      series: [series("in use", "origin", (sample) => sample.now.in_flight.bytes)],
    }),
  ];
}

async function overview() {
  const last = samples.length > 0 ? samples[samples.length - 1].number : 0;
  const [status, history, origins, fills] = await Promise.all([
    ask("/api/status"),
    ask("/api/history" + query({ after: last })),
    ask("/api/origins"),
    ask("/api/fills"),
  ]);
  // Another process numbers anew.
  if (history.samples.length > 0 && history.samples[0].number > last + 1) samples.length = 0;
  if (status.uptime < (known.uptime ?? 0)) samples.length = 0;
  known.uptime = status.uptime;
  samples.push(...history.samples.filter((sample) => sample.number > last || samples.length === 0));
  samples.splice(0, Math.max(0, samples.length - KEPT));
  known.change = status.change;
  head(status);
  tiles(status);
  plots.forEach((plot) => plot.update(samples));
  at("span").textContent = samples.length > 0 ? lasting(status.recent.seconds) : "the first sample comes in a moment";
  firstBytes(status);
  room(status);
  showOrigins(origins);
  showFills(fills);
}

function head(status) {
  state(status.state, status.state === "serving" ? "good" : "warn");
  at("about").textContent = `${status.version} on ${location.host}, up ${lasting(status.uptime)}`;
}

function tiles(status) {
  const lately = samples.slice(-5);
  const seconds = lately.reduce((all, sample) => all + sample.over.seconds, 0) || 1;
  const requests = lately.reduce((all, sample) => all + sum(sample.over.requests), 0) / seconds;
  const bytes = lately.reduce((all, sample) => all + sum(sample.over.bytes), 0) / seconds;
  const { now, recent, since_start: all } = status;
  const first = recent.first_byte;
  const ratio = (share) => (share === null ? ["–", ""] : [(share * 100).toFixed(share < 1 ? 1 : 0), "%"]);
  const time = (of) => (of ? [milliseconds(of.p50), "ms"] : ["–", ""]);
  const shown = [
    ["Requests", [perSecond(requests), "per second"], `${whole(sum(all.requests))} since the start`],
    ["Sent", [sizeParts(bytes)[0], `${sizeParts(bytes)[1]}/s`], `${size(sum(all.bytes))} since the start`],
    ["Hit ratio", ratio(recent.hit_ratio.requests), "of requests, lately"],
    ["Bytes spared", ratio(recent.hit_ratio.bytes), "of the origin, lately"],
    ["First byte", time(first.cached), `cached; ${first.not_cached ? `${milliseconds(first.not_cached.p50)} ms` : "none"} if not`],
    ["Streams", [whole(now.streams), ""], `${many(now.connections, "connection", "connections")}, ${many(now.fills, "fill", "fills")}`],
  ];
  fill(at("tiles"), ...shown.map(([name, [value, unit], under]) =>
    make("div", {},
      make("dt", { textContent: name }),
      make("dd", { className: "value" }, value, unit ? make("small", { textContent: unit }) : null),
      make("dd", { className: "under", textContent: under }))));
}

function firstBytes(status) {
  const columns = [[""], ["p50", "n"], ["p95", "n"], ["p99", "n"], ["answers", "n"]];
  const line = (name, of) => row(columns, [name, milliseconds(of?.p50), milliseconds(of?.p95), milliseconds(of?.p99), whole(of?.count ?? 0)]);
  const { cached, not_cached: others } = status.recent.first_byte;
  const start = status.since_start.first_byte;
  table(at("first"), columns, [
    line("Cached", cached),
    line("Not cached", others),
    line("Cached, since the start", start.cached),
    line("Not cached, since the start", start.not_cached),
  ], "");
}

function room(status) {
  const { now, recent } = status;
  // A full store is as it should be; a full budget in flight holds transfers up.
  const line = (name, text, share, isFull) => {
    const shown = share === undefined ? null : bar(share);
    if (isFull) shown.classList.add("full");
    return make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: text }), shown);
  };
  const amount = ({ bytes, limit }) => `${size(bytes)} of ${size(limit)}`;
  const share = ({ bytes, limit }) => bytes / Math.max(1, limit);
  fill(at("room"),
    line("Store", amount(now.store), share(now.store)),
    line("In flight", amount(now.in_flight), share(now.in_flight), share(now.in_flight) > 0.9),
    line("Evicted lately", many(recent.evictions, "chunk", "chunks")),
    line("Disk", `${{ known: "", reading: "being read, ", lost: "directory gone, ", refusing: "refuses writes, ", another: "handed over, " }[now.directory]}${many(now.disk_queue, "reader waits", "readers wait")}, ${many(recent.disk_failures, "failure", "failures")} lately`),
    line("Memory of the process", now.memory === null ? "–" : size(now.memory)),
    ...(now.tier ? [line("Tier", tierText(now.tier))] : []));
}

function tierText(tier) {
  const states = { in_use: "in use", left_alone: "left alone, as it fails", not_in_use: "not in use" };
  const untold = tier.purges_untold ? `, ${many(tier.purges_untold, "purge", "purges")} not told` : "";
  return `${states[tier.state]}, ${many(tier.uploads_waiting, "upload waits", "uploads wait")}${untold}`;
}

function showOrigins({ origins }) {
  const columns = [["Server"], ["Health"], ["Breaker"], ["Under way", "n"], ["Waiting", "n"], ["First byte p50 · p95", "n wide"], ["Requests", "n wide"], ["Failed", "n wide"]];
  const dot = (mood, text) => make("span", { className: `dot ${mood}` }, make("span", { textContent: text }));
  const moods = { closed: "good", half_open: "warn", open: "bad" };
  const health = { healthy: ["good", "healthy"], unhealthy: ["bad", "unhealthy"], unchecked: ["quiet", "not checked"], not_asked: ["quiet", "not asked yet"] };
  const rows = origins.flatMap((origin) => origin.servers.map((server) => row(columns, [
    make("span", {}, server.name, make("span", { className: "id", textContent: origin.name })),
    dot(...health[server.health]),
    dot(moods[server.breaker], server.breaker.replace("_", " ")),
    whole(server.active),
    whole(sum(origin.queued)),
    `${milliseconds(server.first_byte_p50)} · ${milliseconds(server.first_byte_p95)} ms`,
    whole(server.requests),
    whole(server.failures),
  ])));
  table(at("origins"), columns, rows, "No origins.");
}

function showFills({ fills, total }) {
  list.readers = new Map(fills.map((one) => [one.id, one.readers]));
  if (list.lines.length > 0) showList();
  // What is open there stays open.
  at("filling").hidden = total === 0 && !at("fills").querySelector("tr.opened");
  at("fills-count").textContent = many(total, "object", "objects");
  const columns = [["Object", "place"], ["Stored", "n"], ["Transfers", "n"], ["Readers", "n"]];
  const rows = fills.slice(0, 12).map((one) => picking(columns, [
    picker(one.id, one.place, "fills"),
    one.total === null ? size(one.stored) : make("span", {}, percent(one.stored / Math.max(1, one.total)), bar(one.stored / Math.max(1, one.total))),
    whole(one.transfers.length),
    whole(one.readers),
  ], one.id, "fills"));
  table(at("fills"), columns, withOpened(rows, "fills"), "");
}
