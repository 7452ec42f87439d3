// Shows what the agent tells; sends the start and the end of a slide.
"use strict";
const at = (id) => document.getElementById(id);
const token = document.querySelector("meta[name=token]").content;
let slide = null, run = null, frame = null;

function age(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

// The 95 % interval of a share of one in five (Wilson), for so many cells.
function interval(cells) {
  const z = 1.96, p = 0.2, base = 1 + z * z / cells, middle = p + z * z / (2 * cells);
  const half = z * Math.sqrt(p * (1 - p) / cells + z * z / (4 * cells * cells));
  return [(middle - half) / base, (middle + half) / base].map((x) => Math.round(100 * x));
}

function list(id, lines) {
  at(id).replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
}

const ASKS = { "more-fields": "More fields are needed", recapture: "Capture again" };
const BECAUSE = {
  "few-cells": "too few white cells", "out-of-focus": "pictures are out of focus", "thick-smear": "the smear is too thick there",
  "poor-stain": "the stain is poor", "edge-of-smear": "these places lie at the edge of the smear",
};

function made(kind, text, className = "") {
  return Object.assign(document.createElement(kind), { textContent: text, className });
}

function answering(one, said, words, className) {
  const button = made("button", words, className);
  button.addEventListener("click", () => send("/request/answer", { id: one.id, said }, "unanswered"));
  return button;
}

function again(one) {
  const button = made("button", "Type its name", "quiet");
  button.addEventListener("click", () => { at("code").value = one.slide; at("code").focus(); });
  return button;
}

let asked = "";

// Only what changed is drawn anew: a finger may be on its way to a button.
function showRequests(requests) {
  if (JSON.stringify([requests, !slide]) === asked) return;
  asked = JSON.stringify([requests, !slide]);
  at("asked").hidden = !requests.length;
  at("requests").replaceChildren(...requests.map((one) => {
    const item = document.createElement("li"), buttons = made("div", "", "answers");
    const cells = one.cells ? `, about ${one.cells} more white cells` : "";
    item.append(made("p", `${ASKS[one.verb]}: slide ${one.slide ?? one.accession}`, "asks"));
    item.append(made("p", `${BECAUSE[one.reason]}${cells}. ${one.asked_by}, ${new Date(one.asked_at).toLocaleString()}${one.slide ? ` (${one.accession})` : ""}`, "quiet"));
    if (!one.seen) buttons.append(answering(one, "seen", "Seen"));
    buttons.append(answering(one, "done", "Done"), answering(one, "refused", "Not possible", "quiet"));
    if (one.slide && !slide) buttons.append(again(one));
    item.append(buttons);
    return item;
  }));
}

function showFrame(last) {
  if (!last || last.number === frame) return;
  frame = last.number;
  at("verdict").textContent = last.good
    ? `Good: ${last.cells} white cells` : `Not used: ${last.says.join(" ")}`;
  at("verdict").className = last.good ? "good" : "bad";
  at("picture").hidden = !last.has_picture;
  if (last.has_picture) at("picture").src = `/picture?${last.number}`;
  const m = last.measures;
  at("numbers").textContent = m.blur === undefined ? "" :
    `Blur ${m.blur.toFixed(1)} % of a red cell (${m["most-blur"].toFixed(1)} at most) · ` +
    `light ${Math.round(m.brightest)} of 255 · white ${Math.round(100 * m["burnt-out"])} %`;
}

function showSlide(open) {
  slide = open;
  at("start").hidden = at("hint").hidden = !!open;
  at("open").hidden = !open;
  at("name").textContent = open ? `Slide ${open.name}${open.urgent ? " · STAT" : ""}` : "No slide is started";
  if (!open) return;
  at("cells").textContent = `${open.cells} of 100 white cells found, not yet named`;
  const [from, to] = open.cells ? interval(open.cells) : [0, 100];
  at("interval").textContent = `If one in five of them is a blast, the true share is ${from} to ${to} %.`;
  at("safe").textContent = `${open.safe} of ${open.frames} pictures safe in the cloud as ${open.accession}, ${open.refused} not used`;
  at("end").disabled = open.ending;
  at("end").textContent = open.ending ? "Ending: waits for the last picture …" : "End slide";
}

function show(state) {
  if (run && state.run && state.run !== run) location.reload();
  run = state.run || run;
  list("problems", state.problems);
  if (state.waiting === undefined) return;
  showFrame(state.frame);
  showSlide(state.slide);
  showRequests(state.requests);
  const waits = state.waiting ? `${state.waiting === 1 ? "1 picture waits" : `${state.waiting} pictures wait`} here, the oldest for ${age(state.oldest_s)}.` : "Nothing waits: all is safe.";
  at("waiting").textContent = `${state.connected ? "Connected." : "Not connected: pictures are kept here, and none is lost."} ${waits}`;
  at("unused").hidden = !state.refused.length;
  list("refused", state.refused.map((one) => `${new Date(one.at).toLocaleTimeString()}: ${one.says.join(" ")}`));
}

async function send(path, body, place = "refusal") {
  const answer = await fetch(path, { method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Hemaline-Token": token } })
    .then(async (response) => [response.ok, (await response.json()).says])
    .catch(() => [false, "The agent does not answer: try again."]);
  at(place).hidden = answer[0];
  at(place).textContent = answer[1];
  return answer[0];
}

at("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await send("/slide/start", { name: at("code").value, urgent: at("urgent").checked })) at("start").reset();
  else at("code").select();
});
at("end").addEventListener("click", () => send("/slide/end", { id: slide.id }));

const events = new EventSource("/events");
events.onmessage = (event) => { at("away").hidden = true; show(JSON.parse(event.data)); };
events.onerror = () => { at("away").hidden = false; };
