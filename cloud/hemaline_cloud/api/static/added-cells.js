// Adds a white cell that the finder missed: a box on the field, placed by mouse or keys, named by a key.
"use strict";

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let placing = null; // { frame, x, y }: the middle, in pixels of the field

const figure = () => document.querySelector("figure.field");

function addCell() {
  const shown = figure();
  if (!shown) return;
  const size = shown.querySelector("svg").viewBox.baseVal;
  placing = { frame: shown.dataset.field, x: size.width / 2, y: size.height / 2 };
  showPlace();
  shown.scrollIntoView({ block: "nearest" });
  tell("A missed cell: click its middle, or move the box by the arrows (Shift: further). A class's key or button adds it, Esc leaves it.");
}

function leavePlace() {
  placing = null;
  showPlace();
  tell("");
}

function showPlace() {
  const shown = figure();
  document.querySelector(".field .place")?.remove();
  shown?.classList.toggle("adding", Boolean(placing));
  if (!shown || !placing || shown.dataset.field !== placing.frame) return;
  const side = Number(shown.dataset.whiteCellPx);
  const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  box.classList.add("place");
  for (const [key, value] of Object.entries({ x: placing.x - side / 2, y: placing.y - side / 2, width: side, height: side })) box.setAttribute(key, value);
  shown.querySelector("svg").append(box);
}

function movePlace(x, y) {
  const size = figure().querySelector("svg").viewBox.baseVal;
  placing.x = Math.max(0, Math.min(size.width - 1, Math.round(x)));
  placing.y = Math.max(0, Math.min(size.height - 1, Math.round(y)));
  showPlace();
}

async function addAs(label) {
  const { frame, x, y } = placing;
  let added;
  const act = async () => {
    added = await send("POST", `/api/v1/fields/${frame}/added-cells`, { x: Math.round(x), y: Math.round(y), label });
  };
  await attempt(act, async () => {
    acts.push({ added: added.added_cell_id });
    leavePlace();
    await reload();
    say("Cell added");
  });
}

async function takeBack(added) {
  await attempt(() => send("DELETE", `/api/v1/slides/${review().slide_id}/added-cells/${added}`), async () => {
    const at = acts.findIndex((one) => one.added === added);
    if (at >= 0) acts.splice(at, 1);
    await reload();
    say("Taken back");
  });
}

ACTS.addCell = addCell;
REVIEW_KEYS.a = addCell;

// While a box is placed, keys and buttons mean it, and no cell or field.
addEventListener("keydown", (event) => {
  if (!placing || event.metaKey || event.ctrlKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const label = labelOfKey(event);
  const step = STEPS[event.key];
  if (!label && !step && event.key !== "Escape") return;
  event.preventDefault();
  event.stopPropagation();
  if (event.key === "Escape") return leavePlace();
  if (label) return addAs(label);
  const far = Number(figure().dataset.whiteCellPx) / (event.shiftKey ? 1 : 8);
  movePlace(placing.x + step[0] * far, placing.y + step[1] * far);
}, { capture: true });

// Without a chosen cell no class stands on a button: the keys are the same.
function labelOfKey(event) {
  if (keysAreOff()) return null;
  return JSON.parse(document.getElementById("review-data").dataset.classes)[keyOf(event)] ?? null;
}

addEventListener("click", (event) => {
  const button = event.target.closest("[data-take-back]");
  if (button) return takeBack(button.dataset.takeBack);
  if (!placing) return;
  const named = event.target.closest("[data-label]");
  const shown = event.target.closest("figure.field");
  if (!named && !shown) return;
  event.preventDefault();
  event.stopPropagation();
  if (named) return addAs(named.dataset.label);
  const svg = shown.querySelector("svg");
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  movePlace(at.x, at.y);
}, { capture: true });

document.addEventListener("hemaline:renewed", () => {
  if (placing && figure()?.dataset.field !== placing.frame) placing = null;
  showPlace();
});
