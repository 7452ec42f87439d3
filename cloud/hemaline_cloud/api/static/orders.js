// Links the slide to the order of its specimen: a scanner or a person types its code and Enter.
"use strict";

const orderAddress = (what = "") => `/api/v1/slides/${review().slide_id}/order${what}`;

async function changeOrder(method, what, body, words, undo) {
  let done;
  const act = async () => {
    done = await send(method, orderAddress(what), body, review().version);
  };
  await attempt(act, async () => {
    await reload();
    say(words);
    if (undo && done?.before) tell(words, () => linkTo({ order_id: done.before }), false, "Undo");
  });
}

const linkTo = (body) => changeOrder("POST", "", body, "Linked to its order");

const ORDER_ACTS = {
  unlink: () => changeOrder("DELETE", "", undefined, "Unlinked from its order", true),
  ask: () => document.getElementById("unlink-dialog").showModal(),
  agree: () => changeOrder("POST", "/unlinking/answer", { agrees: true }, "Unlinked from its order"),
  refuse: () => changeOrder("POST", "/unlinking/answer", { agrees: false }, "It stays linked"),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-order-act]");
  if (button) ORDER_ACTS[button.dataset.orderAct]();
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "link-form") return;
  event.preventDefault();
  const field = event.target.elements.barcode;
  field.select(); // at once: what is refused is typed over by the next scan
  linkTo({ barcode: field.value });
});

document.getElementById("unlink-dialog").addEventListener("submit", (event) => {
  if (event.submitter?.value === "cancel") return;
  const reason = event.target.elements.reason.value;
  changeOrder("POST", "/unlinking", { reason }, "Asked: another haematologist confirms");
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "b" || event.metaKey || event.ctrlKey || event.altKey || keysAreOff()) return;
  const field = document.getElementById("barcode");
  if (!field || document.querySelector("dialog[open]") || event.target.closest("input, textarea, select")) return;
  event.preventDefault();
  field.focus();
  field.select();
});
