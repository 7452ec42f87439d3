// Keeps the keys that are pressed before the page's scripts are here, and gives them back to these.
"use strict";

{
  const MOST = 20;
  const early = [];
  const keep = (event) => {
    if (early.length < MOST && (event.key.length === 1 || event.key.startsWith("Arrow"))) early.push(event);
  };
  addEventListener("keydown", keep, { capture: true });
  // Scripts that are deferred have run by then. Keys that the browser itself acts on were never lost.
  addEventListener("DOMContentLoaded", () => {
    removeEventListener("keydown", keep, { capture: true });
    for (const { target, key, code, shiftKey, ctrlKey, altKey, metaKey } of early) {
      const again = new KeyboardEvent("keydown", { key, code, shiftKey, ctrlKey, altKey, metaKey, bubbles: true, cancelable: true });
      (target.isConnected ? target : document.body).dispatchEvent(again);
    }
  });
}
