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

async function linkTo(body) {
  let used = null;
  const act = () =>
    send("POST", orderAddress(), body, review().version).catch((error) => {
      if (error.problem?.reason === "barcode-used") used = error.message;
      throw error;
    });
  await attempt(act, async () => {
    await reload();
    say("Linked to its order");
  });
  if (used) tell(used, () => linkTo({ ...body, another_smear: true }), false, "Another smear of this tube");
}

// Typing an order in: what is refused stays in the dialog, with the reason.

const orderDialog = document.getElementById("order-dialog");

function typeOrder() {
  const form = orderDialog.querySelector("form");
  form.elements.barcode.value ||= document.getElementById("barcode")?.value.trim() ?? "";
  orderDialog.querySelector("[data-order-problem]").hidden = true;
  orderDialog.showModal();
}

function typedOrder(form) {
  const typed = (name) => form.elements[name].value.trim();
  const order = { site: orderDialog.dataset.site, barcode: typed("barcode"), blood_count: {} };
  const names = ["identifier", "name", "birth_date"].filter(typed);
  if (names.length) order.patient = Object.fromEntries(names.map((name) => [name, typed(name)]));
  for (const name of ["wbc", "hb", "plt"].filter(typed)) {
    order.blood_count[name] = { value: Number(typed(name)), unit: form.elements[name].dataset.unit };
  }
  return order;
}

orderDialog.addEventListener("submit", async (event) => {
  if (event.submitter?.value === "cancel") return;
  event.preventDefault();
  const form = event.target;
  const order = typedOrder(form);
  try {
    await send("POST", "/api/v1/orders", order);
  } catch (error) {
    if (!(error instanceof Unsaved || error instanceof Refused)) throw error;
    const problem = orderDialog.querySelector("[data-order-problem]");
    const incomplete = order.patient && Object.keys(order.patient).length < 3;
    problem.textContent = incomplete ? "A patient has an identifier, a name and a birth date; or leave all three empty." : error.message;
    if (error.asksLogIn) problem.append(" ", logInLink());
    if (error.again) addEventListener("focus", () => renewCsrf().catch(() => {}), { once: true });
    problem.hidden = false;
    return;
  }
  orderDialog.close();
  form.reset();
  await linkTo({ barcode: order.barcode });
});

const ORDER_ACTS = {
  type: typeOrder,
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
