// One stream of changes for all of a browser's tabs: a browser allows a host six connections.
// A shared worker: it lives as long as any tab of ours does.
"use strict";

const KINDS = ["slide", "devices", "dead-letters", "everything"];
const RETRY_MS = 5000;

const tabs = new Set();
let stream = null;
let live = false;

function tell(message) {
  for (const tab of tabs) tab.postMessage(message);
}

function tellState(isLive) {
  live = isLive;
  tell({ live });
}

function open() {
  stream = new EventSource("/api/v1/events");
  stream.onopen = () => tellState(true);
  stream.onerror = () => {
    tellState(false);
    // The browser tries again by itself, but not after an answer that was no stream.
    if (stream?.readyState === EventSource.CLOSED) setTimeout(reopen, RETRY_MS);
  };
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => tell({ kind, slide: JSON.parse(event.data).slide_id }));
  }
}

async function reopen() {
  stream?.close();
  stream = null;
  if (!tabs.size) return;
  const answer = await fetch("/api/v1/session", { headers: { "X-Refresh": "live" } }).catch(() => null);
  if (answer?.status === 401) tell({ loggedOut: true });
  else if (!stream && tabs.size) open();
}

function hear(tab, message) {
  if (message === "leave") {
    tabs.delete(tab);
    if (!tabs.size) reopen();
  } else {
    tabs.add(tab);
    // What changed before, a new tab may have missed.
    if (stream) tab.postMessage({ live, kind: "everything" });
    else open();
  }
}

addEventListener("connect", (event) => {
  const [tab] = event.ports;
  tab.onmessage = ({ data }) => hear(tab, data);
});
