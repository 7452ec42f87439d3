// Keeps a page live, and lets the keyboard move. Without this script every link still works.
"use strict";

const REFRESH_MS = 1000;
const AGES_MS = 20000;
const AGAIN_MS = 60000;

// Regions: each element marked data-live has an id, and is replaced when its content changed.

function replaceChildrenById(region, fresh) {
  const kept = new Map([...region.children].map((child) => [child.id, child]));
  const children = [...fresh.children].map((child) => {
    const old = kept.get(child.id);
    return old && old.outerHTML === child.outerHTML ? old : child;
  });
  region.replaceChildren(...children);
}

function renew(page) {
  for (const region of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(region.id);
    if (!fresh || fresh.innerHTML === region.innerHTML) continue;
    const opened = [...region.querySelectorAll("details[open][id]")].map((details) => details.id);
    const focused = region.contains(document.activeElement) && focusPath(document.activeElement);
    if ("rows" in region.dataset) replaceChildrenById(region, fresh);
    else region.replaceChildren(...fresh.childNodes);
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.querySelector(focused)?.focus({ preventScroll: true });
  }
  document.title = page.title;
  showHeat();
  document.dispatchEvent(new Event("hemaline:renewed"));
}

function focusPath(element) {
  if (element.rel) return `a[rel="${element.rel}"]`;
  const holder = element.closest("[id]");
  if (!holder) return null;
  return holder === element ? `#${CSS.escape(holder.id)}` : `#${CSS.escape(holder.id)} ${element.localName}`;
}

// The heat map is off until asked for: it must not bias the first look. A new cell keeps the choice.

let heatShown = false;

function showHeat() {
  const choice = document.getElementById("heat");
  if (choice) choice.checked = heatShown;
}

document.addEventListener("change", (event) => {
  if (event.target.id === "heat") heatShown = event.target.checked;
});

function toggleHeat() {
  heatShown = !heatShown;
  showHeat();
  if (document.getElementById("heat")) say(heatShown ? "Heat map shown" : "Heat map hidden");
}

function say(words) {
  document.getElementById("announcement").textContent = words;
}

let loading = null;

async function load(address, reason) {
  loading?.abort(); // only what was asked for last is shown
  const request = new AbortController();
  loading = request;
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html", ...reason }, signal: request.signal });
    if (answer.redirected && new URL(answer.url).pathname === "/log-in") return logInAgain();
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (loading === request) renew(page);
  } catch (error) {
    if (loading === request) throw error;
  } finally {
    if (loading === request) loading = null;
  }
}

// Whoever logs out is on the way to the page that says so: what this page asks meanwhile is refused.
let leaving = false;

document.addEventListener("submit", (event) => {
  if (new URL(event.target.action).pathname === "/log-out") leaving = true;
});

function logInAgain() {
  if (leaving) return;
  const here = location.pathname + location.search;
  location.assign(`/log-in?return_to=${encodeURIComponent(here)}`);
}

let visiting = false; // a page that somebody asked for is on its way; a live refresh is none

async function visit(address) {
  history.pushState(null, "", address);
  visiting = true;
  try {
    await load(address);
  } catch {
    location.assign(address);
    return;
  }
  if (loading) return; // a later visit has overtaken this one
  visiting = false;
  settle();
  const heading = document.querySelector("[data-announce]");
  if (heading) say(heading.textContent);
  takeOwedStep();
}

// Marks a link as the current one before its page is here: the next press of a key goes on from it.
function mark(link) {
  for (const other of link.closest("ol, ul").querySelectorAll("a[aria-current]")) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
}

function settle() {
  const frame = document.querySelector(".strip [aria-current]");
  const strip = frame?.closest(".strip");
  if (strip) strip.scrollLeft = frame.parentElement.offsetLeft - strip.offsetLeft - (strip.clientWidth - frame.clientWidth) / 2;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-visit]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  visit(new URL(link.getAttribute("href"), location.href).href).then(() => {
    const viewer = document.getElementById("viewer");
    if (viewer && viewer.getBoundingClientRect().bottom < 200) viewer.scrollIntoView();
  });
});
addEventListener("popstate", () => {
  visiting = false;
  load(location.href).then(settle, () => location.reload());
});

// Keyboard

function moveRow(step) {
  const rows = [...document.querySelectorAll("[data-rows] > li > a")];
  if (!rows.length) return;
  const focused = rows.indexOf(document.activeElement);
  const at = focused < 0 ? rows.findIndex((row) => row.hasAttribute("aria-current")) : focused;
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))];
  next.focus();
  if (!("visit" in next.dataset) || next.hasAttribute("aria-current")) return;
  mark(next);
  next.click();
}

let owed = 0; // steps asked for and not taken: the strip grows when the page on its way is here

function moveField(step) {
  owed += step;
  takeOwedStep();
}

function takeOwedStep() {
  const step = Math.sign(owed);
  const fields = [...document.querySelectorAll(".strip a")];
  const next = step && fields[fields.findIndex((field) => field.hasAttribute("aria-current")) + step];
  if (!next) {
    if (!visiting) owed = 0;
    return;
  }
  owed -= step;
  mark(next);
  next.click();
}

const KEYS = {
  ArrowLeft: () => moveField(-1),
  ArrowRight: () => moveField(1),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  h: toggleHeat,
  "/": () => document.querySelector("input[type=search]")?.select(),
};

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// Live

const wanted = new Set(document.body.dataset.listens.split(" ").filter(Boolean));
let timer = null;
let stale = false;
let lastRefresh = performance.now();

function show(state, words) {
  const sign = document.querySelector("[data-live-state]");
  sign.dataset.liveState = state;
  sign.querySelector(".words").textContent = words;
}

function refreshSoon() {
  stale = document.hidden; // a page that nobody sees is read again when somebody does
  if (timer || stale) return;
  timer = setTimeout(async () => {
    timer = null;
    lastRefresh = performance.now();
    if (loading) {
      refreshSoon();
      return;
    }
    try {
      await load(location.href, { "X-Refresh": "live" });
      show("live", "Live");
    } catch {
      show("waiting", "Waiting for the server");
      refreshSoon();
    }
  }, Math.max(150, lastRefresh + REFRESH_MS - performance.now()));
}

function hear({ live, kind, slide, loggedOut }) {
  if (loggedOut) return logInAgain();
  if (live !== undefined) show(live ? "live" : "waiting", live ? "Live" : "Reconnecting");
  if (kind === "everything" || wanted.has(kind) || wanted.has(`slide:${slide}`)) refreshSoon();
}

function listen() {
  const worker = new SharedWorker(document.body.dataset.changes);
  worker.port.onmessage = ({ data }) => hear(data);
  worker.port.postMessage("join");
  addEventListener("pagehide", () => worker.port.postMessage("leave"));
  addEventListener("pageshow", (event) => event.persisted && worker.port.postMessage("join"));
}

// A browser without shared workers: a stream for this page, as long as somebody sees it.
function listenAlone() {
  let stream = null;
  const toggle = () => {
    stream?.close();
    if (document.hidden) return;
    stream = new EventSource("/api/v1/events");
    stream.onopen = () => hear({ live: true });
    stream.onerror = () => {
      hear({ live: false });
      if (stream.readyState === EventSource.CLOSED) refreshSoon(); // which finds out why
    };
    for (const kind of ["slide", "devices", "dead-letters", "everything"]) {
      stream.addEventListener(kind, (event) => hear({ kind, slide: JSON.parse(event.data).slide_id }));
    }
  };
  document.addEventListener("visibilitychange", toggle);
  toggle();
}

document.addEventListener("visibilitychange", () => {
  if (stale && !document.hidden) refreshSoon();
});

// Ages go by the server's clock: this computer's may be wrong.
const clockAheadMs = Date.now() - new Date(document.body.dataset.now);

function tellAges() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const seconds = (Date.now() - clockAheadMs - new Date(time.dateTime)) / 1000;
    const [unit, name] = seconds < 3600 ? [60, "min"] : seconds < 86400 ? [3600, "h"] : [86400, "d"];
    time.textContent = seconds < 60 ? "just now" : `${Math.floor(seconds / unit)} ${name} ago`;
  }
}

setInterval(tellAges, AGES_MS);

// What is true of a silent device changes with the time alone.
const refreshS = Number(document.body.dataset.refreshS);
if (refreshS) setInterval(refreshSoon, refreshS * 1000);
// What a page says of times (a device that fell silent) changes without an event.
if (wanted.size) setInterval(refreshSoon, AGAIN_MS);
const sign = document.querySelector("[data-live-state]");
if (!wanted.size) sign?.setAttribute("hidden", "");
else if ("SharedWorker" in window) listen();
else listenAlone();
settle();
