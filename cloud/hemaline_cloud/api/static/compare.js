// Shows cells side by side, large, above how people of the site named and signed such cells.
"use strict";

const MOST_COMPARED = 6;
const REFERENCES = 8;
const compare = document.getElementById("compare");
const comparedCells = () => [...document.querySelectorAll("#compared li")].map((item) => item.dataset.cell);
let referenceAsked = null; // only what was asked for last is shown

function openCompare() {
  const cells = [...selection].filter(shown).slice(0, MOST_COMPARED);
  if (!cells.length && chosenCell()) cells.push(chosenCell());
  if (!cells.length) return tell("Choose a cell first; Space selects several.");
  document.getElementById("compared").replaceChildren(...cells.map(comparedCell));
  compare.querySelector("[data-compare-number]").textContent = cells.length > 1 ? `these ${cells.length} cells` : "this cell";
  if (!compare.open) compare.showModal();
  watch();
  showReference(classOf(cells[0]) ?? "blast");
}

// The class that the gallery shows: what is hidden there is hidden here.
function classOf(cell) {
  const known = [...compare.querySelectorAll("[data-reference-choice] option")].map(({ value }) => value);
  return known.find((name) => inGallery(cell)?.classList.contains(`class-${name}`));
}

function comparedCell(cell) {
  const item = Object.assign(document.createElement("li"), { className: inGallery(cell)?.className ?? "" });
  item.dataset.cell = cell;
  const image = Object.assign(new Image(200, 200), { src: `/api/v1/cells/${cell}/image`, alt: "" });
  image.dataset.seen = cell;
  const caption = inGallery(cell)?.querySelector(".caption")?.textContent.trim();
  item.append(image, Object.assign(document.createElement("span"), { className: "caption", textContent: caption || "No name yet" }));
  return item;
}

async function showReference(label) {
  const choice = compare.querySelector("[data-reference-choice]");
  choice.value = label;
  const address = `/sites/${encodeURIComponent(compare.dataset.site)}/`;
  compare.querySelector("[data-reference-all]").href = `${address}references?label=${label}`;
  const place = document.getElementById("reference-cells");
  const asked = `/api/v1${address}reference-cells?label=${label}&limit=${REFERENCES}`;
  referenceAsked = asked;
  const answer = await fetch(asked).catch(() => null);
  if (referenceAsked !== asked) return;
  if (!answer?.ok) return place.replaceChildren(words("The reference cells could not be read. Choose the class once more."));
  const { items } = await answer.json();
  const none = `Nobody here has named and signed a ${choice.selectedOptions[0].textContent.slice(1).trim().toLowerCase()} yet.`;
  place.replaceChildren(...(items.length ? items.map(referenceCell) : [words(none)]));
}

function referenceCell({ image, by_name, at }) {
  const item = document.createElement("li");
  const by = `${by_name}, ${new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}`;
  item.append(Object.assign(new Image(120, 120), { src: image, alt: `Named by ${by}` }), Object.assign(document.createElement("span"), { className: "quiet", textContent: by }));
  return item;
}

const words = (text) => Object.assign(document.createElement("li"), { className: "quiet none", textContent: text });

async function nameCompared(label) {
  const cells = comparedCells();
  selection.clear();
  for (const cell of cells) selection.add(cell);
  compare.close();
  await name(label, true);
}

compare.addEventListener("keydown", (event) => {
  event.stopPropagation(); // the page's keys mean the page
  if (event.key === "c") return compare.close();
  const label = labelOfKey(event);
  if (event.metaKey || event.ctrlKey || event.altKey || !label || event.target.closest("select")) return;
  event.preventDefault();
  if (event.shiftKey) nameCompared(label);
  else showReference(label);
});
compare.addEventListener("change", (event) => showReference(event.target.value));
compare.querySelector("[data-compare-close]").addEventListener("click", () => compare.close());

ACTS.compare = openCompare;
REVIEW_KEYS.c = openCompare;
