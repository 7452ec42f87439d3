// Forms that ask a device, or whoever is at it, for something: `data-asks` is the address of the API.
"use strict";

const askKey = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join("-");

// Only what belongs to the chosen verb is shown and sent.
function fitToVerb(form) {
  const verb = form.elements.verb?.value;
  for (const part of form.querySelectorAll("[data-of]")) {
    part.hidden = !part.dataset.of.split(" ").includes(verb);
    for (const input of part.querySelectorAll("input, select")) input.disabled = part.hidden;
  }
}

function askedBody(form) {
  const body = {};
  for (const input of form.elements) {
    if (!input.name || input.disabled || input.value === "" || (input.type === "checkbox" && !input.checked)) continue;
    const value = input.type === "checkbox" ? true : input.type === "number" ? Number(input.value) : input.value;
    const [outer, inner] = input.name.split(".");
    if (inner) body[outer] = { ...body[outer], [inner]: value };
    else body[outer] = value;
  }
  return body;
}

async function sendAsked(form) {
  const headers = {
    "Content-Type": "application/json", "Idempotency-Key": askKey(),
    "X-CSRF-Token": document.querySelector(".person [name=csrf]").value,
  };
  const body = form.dataset.asks.match(/\/(approval|withdrawal)$/) ? undefined : JSON.stringify(askedBody(form));
  try {
    const answer = await fetch(form.dataset.asks, { method: "POST", headers, body });
    if (answer.ok) return "";
    const told = await answer.json().catch(() => ({}));
    return told.detail ?? "The server refused it.";
  } catch {
    return "Not sent: the server is away. Try again.";
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset?.asks) return;
  event.preventDefault();
  const button = event.submitter, place = document.getElementById(form.dataset.told);
  if (button) button.disabled = true;
  const refusal = await sendAsked(form);
  if (button) button.disabled = false;
  place.textContent = refusal;
  place.hidden = !refusal;
  if (refusal) return;
  form.reset();
  fitToVerb(form);
  say("Asked");
  await load(location.href).catch(() => {});
});

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.dataset?.asks && event.target.name === "verb") fitToVerb(form);
});
for (const form of document.querySelectorAll("form[data-asks]")) fitToVerb(form);
