// Lets a person review a slide: names cells by keys, tells the server what was seen, signs.
"use strict";

const SEEN_MS = 300;
const SEEN_PX = 64;
const TELL_MS = 800;

function review() {
  return JSON.parse(document.getElementById("review-data").dataset.review);
}

const csrf = document.querySelector(".person [name=csrf]");

// Whoever has logged in again has another session, and its pages another token. What one person
// began is never sent as another's.
async function renewCsrf(again) {
  const answer = await fetch("/api/v1/session");
  if (!answer.ok) return;
  const session = await answer.json();
  if (session.id !== document.body.dataset.person) {
    throw new Unsaved(`Not saved: ${session.full_name} is logged in now, and somebody else opened this page.`, again, true);
  }
  csrf.value = session.csrf_token;
}

// A tab in which somebody logs in again tells the others, which go on where they were.
const logIns = new BroadcastChannel("hemaline-log-ins");
logIns.onmessage = async ({ data }) => {
  if (data === csrf.value) return;
  await renewCsrf().catch(() => {});
  const dialog = document.getElementById("sign-dialog");
  if (dialog.open) dialog.querySelector("button.primary").focus();
};
logIns.postMessage(csrf.value);

// Also where the page came by plain HTTP, where a browser has no randomUUID.
const newKey = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join("-");

// Every change goes through here: one attempt has one key, so that trying again changes nothing twice.

async function send(method, address, body, version, key = newKey()) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key, "X-CSRF-Token": csrf.value };
  if (version !== undefined) headers["If-Match"] = `"v${version}"`;
  const again = () => renewCsrf(again).then(() => send(method, address, body, version, key));
  let answer;
  try {
    answer = await fetch(address, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Unsaved("Not saved: the server is away.", again);
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  if (told.reason === "csrf-token-wrong") throw new Unsaved("Not saved: you logged in again meanwhile.", again);
  if (answer.status === 401) throw new Unsaved(told.detail, again, true);
  if (answer.status >= 500) throw new Unsaved("Not saved: the server is busy.", again);
  throw new Refused(told);
}

class Unsaved extends Error {
  constructor(words, again, asksLogIn = false) {
    super(words);
    this.again = again;
    this.asksLogIn = asksLogIn;
  }
}

class Refused extends Error {
  constructor(problem) {
    super(problem.detail || "The server refused it.");
    this.problem = problem;
  }
}

// Whether the server is there is told by the page's own sign.
const reload = () => load(location.href).catch(() => {});

// Words that stay until they are read; what was not saved can be tried again.

function logInLink() {
  const address = `/log-in?again=1&return_to=${encodeURIComponent(location.pathname + location.search)}`;
  return Object.assign(document.createElement("a"), { className: "button", href: address, target: "_blank", textContent: "Log in" });
}

function tell(words, again, asksLogIn = false, verb = "Try again") {
  const place = document.getElementById("told");
  place.replaceChildren(words);
  if (asksLogIn) place.append(" ", logInLink());
  if (again) {
    const button = Object.assign(document.createElement("button"), { className: "button", textContent: verb });
    button.addEventListener("click", () => again(), { once: true });
    place.append(" ", button);
  }
  place.hidden = !words;
  say(words);
}

// What follows on an act follows, too, where only trying again has saved it.
async function attempt(act, done) {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Unsaved || error instanceof Refused)) throw error;
    tell(error.message, error.again && (() => attempt(error.again, done)), error.asksLogIn);
    if (error instanceof Refused) await reload();
    return;
  }
  tell("");
  await done();
}

// Naming cells

// The gallery marks the next cell before its page is here: keys that come quickly mean that one.
const chosenCell = () =>
  document.querySelector(".cells [aria-current]")?.closest("li").dataset.cell ?? document.querySelector("[data-chosen-cell]")?.dataset.chosenCell;
const inGallery = (cell) => document.getElementById(`cell-${cell}`);
const shown = (cell) => inGallery(cell) ?? document.querySelector(`[data-chosen-cell="${cell}"]`);
const versionOf = (cell) => Number(shown(cell).dataset.version);
const selection = new Set(); // outlives the renewal of the page, as long as its cells are shown
const acts = []; // what this page has done: the newest is taken back first

async function name(label, many) {
  const cells = many ? [...selection].filter(shown) : [chosenCell()].filter(Boolean);
  if (!cells.length) return;
  const labels = cells.map((cell) => ({ cell_id: cell, label, version: versionOf(cell) }));
  const address = `/api/v1/slides/${review().slide_id}/labels`;
  await attempt(() => send("POST", address, { labels }), async () => {
    acts.push(cells[0]);
    if (many) for (const cell of cells) selection.delete(cell);
    else if (chosenCell() === cells[0]) moveRow(1); // not where the reader went on meanwhile
    await reload();
    say(`${cells.length > 1 ? `${cells.length} cells` : "Cell"} named`);
  });
}

async function undo() {
  const cell = acts.at(-1);
  if (cell?.added) return takeBack(cell.added);
  if (!cell) return tell("There is nothing of yours to take back on this page.");
  if (!shown(cell)) await visit(`?cell=${cell}`); // whoever takes it back sees it
  if (!shown(cell)) return;
  const version = versionOf(cell);
  await attempt(() => send("DELETE", `/api/v1/cells/${cell}/label`, undefined, version), async () => {
    acts.pop();
    await reload();
    say("Taken back");
  });
}

function showSelection() {
  for (const cell of selection) if (!shown(cell)) selection.delete(cell);
  for (const item of document.querySelectorAll(".cells li[data-cell]")) item.classList.toggle("selected", selection.has(item.dataset.cell));
}

function select(step = 0) {
  const cell = chosenCell();
  if (!cell) return;
  if (!selection.delete(cell)) selection.add(cell);
  showSelection();
  say(`${selection.size} selected`);
  if (step) moveRow(step);
}

// Seen: half of the crop in view, large enough, long enough. The server hears of it in batches.

const waiting = new Map();
const told = { cells: new Set(), fields: new Set(), revision: null };
let telling = null;

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting, boundingClientRect } of entries) {
    clearTimeout(waiting.get(target));
    waiting.delete(target);
    if (!isIntersecting || document.hidden || boundingClientRect.width < SEEN_PX) continue;
    waiting.set(target, setTimeout(() => saw("cells", target.dataset.seen), SEEN_MS));
  }
}, { threshold: 0.5 });

function watch() {
  const now = review();
  if (now.revision !== told.revision) Object.assign(told, { cells: new Set(), fields: new Set(), revision: now.revision });
  watcher.disconnect();
  for (const image of document.querySelectorAll("[data-seen]")) {
    if (now.unseen.includes(image.dataset.seen)) watcher.observe(image);
  }
  showSelection();
  const keysOn = document.getElementById("class-keys-on");
  if (keysOn) keysOn.checked = !keysAreOff();
}

function saw(kind, id) {
  if (document.hidden || !STANDS_BEHIND[review().act] || told[kind].has(id)) return;
  told[kind].add(id);
  telling ??= setTimeout(tellSeen, TELL_MS);
}

async function tellSeen() {
  const { revision } = told;
  const cells = [...told.cells].filter((cell) => review().unseen.includes(cell));
  const fields = [...told.fields];
  try {
    await send("POST", `/api/v1/slides/${review().slide_id}/seen`, { revision, cells, fields });
    await reload();
  } catch {
    for (const cell of cells) told.cells.delete(cell); // seen again, told again
    for (const field of fields) told.fields.delete(field);
  } finally {
    telling = null;
    watch();
  }
}

function nextUnseen() {
  const [cell] = review().unseen.filter((one) => !told.cells.has(one));
  if (cell) visit(`?cell=${cell}`);
  else if (review().fields_unseen) tell("See one field at full resolution: press Z.");
  else say("All is seen");
}

function zoom() {
  const field = document.querySelector("figure.field");
  if (!field) return;
  const full = field.classList.toggle("full");
  say(full ? "Full resolution" : "Fits the window");
  if (full) setTimeout(() => field.classList.contains("full") && saw("fields", field.dataset.field), SEEN_MS);
}

// Signing

// What a person stands behind: a title, words, a verb, where it is sent, and what asks for a reason.
const STANDS_BEHIND = {
  sign: { title: "Sign this result?", words: "You stand behind revision N as it is now. What comes later will not change it.", verb: "Sign", to: "signatures" },
  amend: { title: "Amend what was signed?", words: "Revision N takes the place of what was signed. Both stay readable.", verb: "Amend", to: "signatures", reason: "Why you amend it" },
  finish: { title: "Finish your reading?", words: "You stand behind revision N as it is now. You change nothing of it after this.", verb: "Finish", to: "readings" },
  colleague: { title: "Ask a colleague to read it, too?", words: "You stand behind revision N as it is now. Another person reads it without knowing what you said; where you differ, both are shown.", verb: "Ask", to: "readings", reason: "Why you ask (shown to them once both have finished)" },
  unfit: { title: "Is this slide unfit?", words: "Nothing will be said of it, and nobody can sign it. A new slide of the same specimen is wanted.", verb: "Unfit", to: "review", reason: "What is wrong with it" },
  colleague: { title: "Ask a colleague to read it, too?", words: "You stand behind revision N as it is now. Another person reads it without knowing what you said; where you differ, both are shown.", verb: "Ask", to: "readings", reason: "Why you ask (shown to them once both have finished)" },
};

function askToSign() {
  const now = review();
  if (now.act === "begin") return beginSecondReading();
  if (!now.act) return tell("It cannot be signed now: more is expected of it, another person reads it, or it is unfit.");
  ask(now.act);
}

function ask(act) {
  const dialog = document.getElementById("sign-dialog");
  if (dialog.open) return;
  const { title, words, verb, reason } = STANDS_BEHIND[act];
  if (dialog.dataset.asks !== act) dialog.querySelector("textarea").value = ""; // the reason was another act's
  dialog.dataset.asks = act;
  dialog.querySelector("[data-sign-title]").textContent = title;
  dialog.querySelector("[data-sign-words]").textContent = words.replace("N", review().revision);
  dialog.querySelector("[data-sign-verb]").textContent = verb;
  const asked = dialog.querySelector("[data-reason]");
  asked.hidden = !reason;
  asked.querySelector("span").textContent = reason ?? "";
  asked.querySelector("textarea").required = Boolean(reason);
  dialog.querySelector("[data-sign-problem]").hidden = true;
  dialog.querySelector("[data-keep]").hidden = act === "unfit" || !review().has_pattern;
  dialog.querySelector("[name=keep_pattern]").checked = false; // a suggestion is kept by nobody in passing
  dialog.showModal();
  dialog.querySelector(reason ? "textarea" : "button.primary").focus();
}

function bodyOf(act, revision, dialog) {
  const reason = dialog.querySelector("textarea").value;
  if (act === "unfit") return { step: "call-unfit", reason };
  const keep_pattern = dialog.querySelector("[name=keep_pattern]").checked;
  return STANDS_BEHIND[act].reason ? { revision, reason, keep_pattern } : { revision, keep_pattern };
}

async function beginSecondReading() {
  const { slide_id, version } = review();
  await attempt(() => send("POST", `/api/v1/slides/${slide_id}/review`, { step: "begin-review" }, version), reload);
}

document.getElementById("sign-dialog").addEventListener("submit", async (event) => {
  if (event.submitter?.value === "cancel") return;
  event.preventDefault();
  const dialog = event.currentTarget;
  const now = review();
  const act = dialog.dataset.asks;
  const body = bodyOf(act, now.revision, dialog);
  let done;
  try {
    done = await send("POST", `/api/v1/slides/${now.slide_id}/${STANDS_BEHIND[act].to}`, body, now.version);
  } catch (error) {
    if (!(error instanceof Unsaved || error instanceof Refused)) throw error;
    showRefusal(dialog, error);
    if (error.again && !error.asksLogIn) renewCsrf().catch(() => {}); // for the next press
    reload();
    return;
  }
  dialog.close();
  if (done.state === "in-review") await reload(); // two readings differ: they are shown
  else await openNext();
});

function showRefusal(dialog, error) {
  const problem = dialog.querySelector("[data-sign-problem]");
  problem.replaceChildren(error.message);
  problem.hidden = false;
  if (error.problem?.reason === "not-all-seen") problem.append(...namesOfUnseen(error.problem.errors ?? []));
  if (!error.asksLogIn) return;
  const link = logInLink();
  problem.append(" ", link);
  link.focus();
}

const UNSEEN_NAMED = 8;

// Too small to count as seen: each leads to the cell.
function namesOfUnseen(errors) {
  if (!errors.length) return [" Press Esc, then Z."];
  const links = errors.slice(0, UNSEEN_NAMED).map(({ where }) => {
    const link = Object.assign(document.createElement("a"), { href: `?cell=${where}`, className: "unseen-cell" });
    link.dataset.visit = "";
    const called = inGallery(where)?.querySelector(".caption span:last-child")?.textContent ?? "Cell";
    link.append(Object.assign(new Image(36, 36), { src: `/api/v1/cells/${where}/thumbnail`, alt: "" }), called);
    return link;
  });
  const list = Object.assign(document.createElement("span"), { className: "unseen-cells" });
  list.append(...links);
  if (errors.length > UNSEEN_NAMED) list.append(`and ${errors.length - UNSEEN_NAMED} more`);
  const key = Object.assign(document.createElement("kbd"), { textContent: "N" });
  return [list, key, " opens the next of them."];
}

async function openNext() {
  const answer = await fetch("/api/v1/slides?order=worklist&limit=100");
  const slides = answer.ok ? (await answer.json()).items : [];
  const next = slides.find((slide) => ["ready", "in-review"].includes(slide.review) && slide.slide_id !== review().slide_id);
  location.assign(next ? `/slides/${next.accession}` : "/");
}

// Red cells and platelets: each choice is saved at once, as the whole of what is said

function morphologySaid() {
  const form = document.getElementById("morphology");
  const said = { red_cells: {}, platelets: {}, platelet_estimate: form.elements.platelet_estimate.value || null };
  for (const { dataset, name, value } of form.querySelectorAll("input:checked")) said[dataset.kind][name] = Number(value);
  return said;
}

let grading = Promise.resolve(); // one after the other: each is based on the version before

function grade() {
  const said = morphologySaid();
  grading = grading.then(() =>
    attempt(
      async () => {
        const version = () => document.getElementById("morphology").elements.version;
        const saved = await send("PUT", `/api/v1/slides/${review().slide_id}/morphology`, said, Number(version().value));
        version().value = saved.version;
      },
      async () => say("Saved"),
    ),
  );
  return grading;
}

function gradeRest() {
  for (const none of document.querySelectorAll('#morphology input[value="0"]')) {
    if (!document.querySelector(`#morphology input[name="${none.name}"]:checked`)) none.checked = true;
  }
  grade();
}

function gradeNothing() {
  const form = document.getElementById("morphology");
  for (const chosen of form.querySelectorAll("input:checked")) chosen.checked = false;
  form.elements.platelet_estimate.value = "";
  grade();
}

document.addEventListener("change", (event) => {
  if (event.target.closest("#morphology")) grade();
});

// Comments: what is typed stays until it is saved

document.getElementById("comment-form")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const text = form.elements.text.value;
  const about = {
    slide: `slides/${review().slide_id}`,
    field: `fields/${document.querySelector("figure.field")?.dataset.field}`,
    cell: `cells/${chosenCell()}`,
  }[form.elements.about.value];
  if (about.endsWith("undefined")) return tell("Choose a cell or a field first: the comment is about none.");
  await attempt(() => send("POST", `/api/v1/${about}/comments`, { text }), async () => {
    if (form.elements.text.value === text) form.reset();
    await reload();
    say("Comment saved");
  });
});

// Keys: those of the classes stand on their buttons, and can be switched off.

const keysAreOff = () => localStorage.getItem("hemaline-class-keys") === "off";

document.addEventListener("change", (event) => {
  if (event.target.id === "class-keys-on") localStorage.setItem("hemaline-class-keys", event.target.checked ? "on" : "off");
});

const ACTS = { unseen: nextUnseen, sign: askToSign, unfit: () => ask("unfit"), colleague: () => ask("colleague"), undo, gradeRest, gradeNothing };
const REVIEW_KEYS = { n: nextUnseen, s: askToSign, u: undo, z: zoom, " ": () => select(1) };

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-label], [data-act]");
  if (!button) return;
  if (button.dataset.label) name(button.dataset.label, selection.size > 0);
  else ACTS[button.dataset.act]();
});

// Whoever is told of cells that they have not seen goes to them at once.
document.getElementById("sign-dialog").addEventListener("keydown", (event) => {
  if (event.key !== "n" || !event.currentTarget.querySelector(".unseen-cells")) return;
  event.preventDefault();
  event.currentTarget.close();
  nextUnseen();
});
document.getElementById("sign-dialog").addEventListener("click", (event) => {
  if (event.target.closest(".unseen-cell")) event.currentTarget.close();
});

document.addEventListener("keydown", (event) => {
  const busy = document.querySelector("dialog[open]") || event.target.closest("input, textarea, select, button, summary");
  if (event.metaKey || event.ctrlKey || event.altKey || busy || keysAreOff()) return;
  const act = event.shiftKey ? null : REVIEW_KEYS[event.key];
  const label = document.querySelector(`[data-key="${CSS.escape(keyOf(event))}"]`)?.dataset.label;
  if (!act && !label) return;
  event.preventDefault();
  if (act) act();
  else name(label, event.shiftKey);
});

// With Shift a digit is another sign on each keyboard: the key itself is meant.
function keyOf(event) {
  return event.code.startsWith("Digit") ? event.code.at(-1) : event.key.toLowerCase();
}

document.addEventListener("hemaline:renewed", watch);
document.addEventListener("visibilitychange", watch);
watch();
