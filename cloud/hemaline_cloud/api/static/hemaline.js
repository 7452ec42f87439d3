// Keeps a page live, and lets the keyboard move. Without this script every link still works.
"use strict";

const REFRESH_MS = 1000;
const AGES_MS = 20000;

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
    const focused = region.contains(document.activeElement) && focusPath(document.activeElement);
    if ("rows" in region.dataset) replaceChildrenById(region, fresh);
    else region.replaceChildren(...fresh.childNodes);
    if (focused) document.querySelector(focused)?.focus({ preventScroll: true });
  }
  document.title = page.title;
  showHeat();
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

let asked = 0;

async function load(address) {
  const number = ++asked;
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (number === asked) renew(page); // a later request has overtaken this one
}

async function visit(address) {
  history.pushState(null, "", address);
  try {
    await load(address);
  } catch {
    location.assign(address);
    return;
  }
  settle();
  const heading = document.querySelector("[data-announce]");
  if (heading) say(heading.textContent);
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
addEventListener("popstate", () => load(location.href).then(settle, () => location.reload()));

// Keyboard

function moveRow(step) {
  const rows = [...document.querySelectorAll("[data-rows] > li > a")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row === document.activeElement || row.hasAttribute("aria-current"));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))];
  next.focus();
  if ("visit" in next.dataset) next.click();
}

const KEYS = {
  ArrowLeft: () => document.querySelector("a[rel=prev]")?.click(),
  ArrowRight: () => document.querySelector("a[rel=next]")?.click(),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  h: toggleHeat,
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
let stream = null;
let timer = null;
let lastRefresh = performance.now();

function show(state, words) {
  const sign = document.querySelector("[data-live-state]");
  sign.dataset.liveState = state;
  sign.querySelector(".words").textContent = words;
}

function refreshSoon() {
  if (timer) return;
  timer = setTimeout(async () => {
    timer = null;
    lastRefresh = performance.now();
    try {
      await load(location.href);
      show("live", "Live");
    } catch {
      show("waiting", "Waiting for the server");
      refreshSoon();
    }
  }, Math.max(150, lastRefresh + REFRESH_MS - performance.now()));
}

function listen() {
  stream = new EventSource("/api/v1/events");
  stream.onopen = () => show("live", "Live");
  stream.onerror = () => show("waiting", "Reconnecting");
  for (const kind of ["slide", "devices", "dead-letters", "everything"]) {
    stream.addEventListener(kind, (event) => {
      const slide = JSON.parse(event.data).slide_id;
      if (kind === "everything" || wanted.has(kind) || wanted.has(`slide:${slide}`)) refreshSoon();
    });
  }
}

// A browser allows a host few connections; a hidden page must not hold one.
document.addEventListener("visibilitychange", () => {
  if (!wanted.size) return;
  if (document.hidden) stream?.close();
  else listen();
});

function tellAges() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const seconds = (Date.now() - new Date(time.dateTime)) / 1000;
    const [unit, name] = seconds < 3600 ? [60, "min"] : seconds < 86400 ? [3600, "h"] : [86400, "d"];
    time.textContent = seconds < 60 ? "just now" : `${Math.floor(seconds / unit)} ${name} ago`;
  }
}

setInterval(tellAges, AGES_MS);
if (wanted.size && !document.hidden) listen();
else if (!wanted.size) document.querySelector("[data-live-state]").hidden = true;
settle();
