"use strict";

// What the page knows; the token is nowhere else and goes with the page.
const known = { token: null, change: "refused", paused: false };

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

async function ask(path, body) {
  const headers = {};
  if (known.token !== null) headers.Authorization = `Bearer ${known.token}`;
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

// Asks for the token once, where nothing can be read without.
let entering = null;

function enterToken() {
  entering ??= new Promise((resolve) => {
    at("enter-form").onsubmit = () => {
      known.token = at("enter-token").value;
      at("enter-token").value = "";
      entering = null;
      resolve();
    };
    at("enter").showModal();
  });
  return entering;
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Does something again and again, never twice at a time; when it took long, less often.
async function keepDoing(every, work) {
  for (;;) {
    const began = performance.now();
    if (!known.paused && !document.hidden) {
      try {
        await work();
        notice(null);
      } catch (error) {
        if (error instanceof Refused && error.status === 401) await enterToken();
        else notice(error);
      }
    }
    const took = performance.now() - began;
    await pause(Math.max(every, 20 * Math.min(took, 3000)));
  }
}

function notice(error) {
  at("notice").hidden = error === null;
  if (error === null) return;
  const silent = !(error instanceof Refused);
  at("notice").textContent = silent ? "Tidegate does not answer; trying again." : error.message;
  if (silent) state("no answer", "bad");
}

function state(text, mood) {
  at("state").textContent = text;
  at("state").className = `pill ${mood}`;
}
