"use strict";

// What the page knows; the token is nowhere else and goes with the page. Where it will be asked for
// is said with the page: the browser writes down each refusal as an error.
const known = {
  token: null,
  change: "refused",
  paused: false,
  isShut: document.documentElement.dataset.reader === "needs-token",
};

const at = (id) => document.getElementById(id);

// Everything that comes from the network becomes text, never markup.
function make(name, properties, ...children) {
  const element = document.createElement(name);
  Object.assign(element, properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

class Refused extends Error {
  constructor(status, text) {
    super(text.trim() || `the answer was ${status}`);
    this.status = status;
  }
}

// Asks the API; an answer that takes longer than this is not waited for.
const PATIENCE = 10000;

async function ask(path, body, token = known.token) {
  const headers = {};
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  const request = { headers, cache: "no-store" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(request, { method: "POST", body: JSON.stringify(body) });
  }
  // A purge may have a million files to remove.
  request.signal = AbortSignal.timeout(body === undefined ? PATIENCE : 60 * PATIENCE);
  const answer = await fetch(path, request);
  if (!answer.ok) throw new Refused(answer.status, await answer.text());
  return answer.json();
}

const query = (parameters) => "?" + Object.entries(parameters).map((pair) => pair.map(encodeURIComponent).join("=")).join("&");

// Whether this is the token, which is kept then. It is tried with what is only read: the browser
// writes down a refusal as an error.
async function tryToken(token) {
  // Fields have no other characters, and neither have tokens.
  if (!/^[ -~]+$/.test(token)) return false;
  try {
    const { change } = await ask("/api/status", undefined, token);
    if (change === "needs_token") return false;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return false;
    throw error;
  }
  known.token = token;
  known.isShut = false;
  return true;
}

const WRONG_TOKEN = "Wrong token: this is not the one in admin.token_file.";

// Asks for the token once, where nothing can be read without.
let entering = null;

function enterToken() {
  entering ??= new Promise((resolve) => {
    at("enter-form").onsubmit = (event) => {
      event.preventDefault();
      enter(resolve);
    };
    openEnter(known.token === null ? "" : "The token has changed.");
  });
  return entering;
}

function openEnter(wrong) {
  at("enter").onclose = () => entering === null || lacksToken();
  enterSays(wrong);
  at("enter").showModal();
}

async function enter(resolve) {
  try {
    if (!(await tryToken(at("enter-token").value))) {
      at("enter-token").select();
      return enterSays(WRONG_TOKEN);
    }
  } catch (error) {
    return enterSays(error instanceof Refused ? error.message : SILENT);
  }
  at("enter-token").value = "";
  entering = null;
  at("enter").close();
  at("locked").hidden = true;
  document.querySelector("main").hidden = false;
  resolve();
}

function enterSays(text) {
  at("enter-wrong").hidden = text === "";
  at("enter-wrong").textContent = text;
}

// Who has left the question can come back to it.
function lacksToken() {
  at("locked").hidden = false;
  document.querySelector("main").hidden = true;
  state("needs the token", "warn");
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Does something again and again, never twice at a time; when it took long, less often.
async function keepDoing(every, work) {
  let complains = false;
  for (;;) {
    const began = performance.now();
    const { token } = known;
    if (!known.paused && !document.hidden) {
      try {
        if (known.isShut) await enterToken();
        await work();
        if (complains) notice(null);
        complains = false;
      } catch (error) {
        if (error instanceof Refused && error.status === 401) {
          // Somebody may have given it meanwhile.
          if (token === known.token) await enterToken();
          continue;
        }
        notice(error);
        complains = true;
      }
    }
    const took = performance.now() - began;
    await pause(Math.max(every, 20 * Math.min(took, 3000)));
  }
}

const SILENT = "Tidegate does not answer; trying again.";

function notice(error) {
  at("notice").hidden = error === null;
  if (error === null) return;
  if (error instanceof Refused && error.status === 401) {
    at("notice").hidden = true;
    enterToken();
    return;
  }
  const silent = !(error instanceof Refused);
  at("notice").textContent = silent ? SILENT : error.message;
  if (silent) state("no answer", "bad");
  else if (error.status === 403) state("no access", "bad");
}

function state(text, mood) {
  at("state").textContent = text;
  at("state").className = `pill ${mood}`;
}
