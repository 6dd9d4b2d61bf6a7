// This script keeps a page up to date. Without it a page is whole, and as old as its load.
const status = document.getElementById("status");
const pause = document.getElementById("pause");
const pollTime = 10000;
// The scaler sends something every ten seconds at least.
const silenceTime = 20000;
let stream = null;
let poll = 0;
let silence = 0;
let paused = false;
let at = document.getElementById("at").textContent;

// show says how current the page is. Only this is announced to screen readers.
function show(kind, text) {
  document.body.className = kind;
  if (status.textContent !== text) status.textContent = text;
}

function lost() {
  show("is-lost", `connection lost, as of ${at} UTC`);
}

// apply writes the cells of rows that changed, as text.
function apply(rows) {
  for (const row of rows) {
    const element = document.getElementById(row.id);
    if (!element) continue;
    element.dataset.state = row.state;
    for (const [name, text] of Object.entries(row.cells)) {
      const cell = element.querySelector(`[data-c="${name}"]`);
      if (cell && cell.textContent !== text) cell.textContent = text;
    }
    const known = row.cells.value !== "unknown";
    element.querySelector(".spark rect").setAttribute("class", known ? "spark-back" : "gap");
    element.querySelector(".spark path").setAttribute("d", row.spark || "");
  }
}

// exchange puts a part of a page in place of the old one. What is open stays open, and what has the
// focus keeps it.
function exchange(old, fresh) {
  const focusable = "a, button, summary, input, select, [tabindex]";
  const place = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
  for (const open of old.querySelectorAll("details[open]")) {
    const same = fresh.querySelector(`details[id="${CSS.escape(open.id)}"]`);
    if (same) same.open = true;
  }
  const left = [...old.querySelectorAll(".scroll")].map((s) => [s.scrollLeft, s.scrollTop]);
  if (old.isEqualNode(fresh)) return;
  old.replaceWith(fresh);
  [...fresh.querySelectorAll(".scroll")].forEach((s, n) => { if (left[n]) [s.scrollLeft, s.scrollTop] = left[n]; });
  if (place >= 0) fresh.querySelectorAll(focusable)[place]?.focus({ preventScroll: true });
}

// load gets the page again and exchanges its parts.
function load(then) {
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.onload = () => {
    const page = request.response;
    if (!page || !page.getElementById("at")) return;
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (fresh) exchange(part, document.adoptNode(fresh));
    }
    at = page.getElementById("at").textContent;
    if (then) then();
  };
  request.onerror = lost;
  request.send();
}

function close() {
  if (stream) stream.close();
  stream = null;
  clearInterval(poll);
  clearTimeout(silence);
}

// hear notes that the scaler sent something. One that is silent may be frozen, or the way to it is
// gone, which a browser does not notice by itself.
function hear() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    lost();
    open();
  }, silenceTime);
}

// polling is for when as many pages are open as the scaler has streams for.
function polling() {
  close();
  const live = () => show("is-live", `each 10 s, as of ${at} UTC`);
  poll = setInterval(() => load(live), pollTime);
  load(live);
}

function open() {
  close();
  if (paused || document.hidden) return;
  stream = new EventSource("/events?of=" + encodeURIComponent(location.pathname + location.search));
  hear();
  stream.onmessage = (event) => {
    hear();
    // Another process may answer now, whose triggers have other names in the page.
    if (document.body.className === "is-lost") load();
    const news = JSON.parse(event.data);
    at = news.at;
    if (news.rows) apply(news.rows);
    const policies = document.getElementById("policies-line");
    if (policies && news.policies) policies.textContent = news.policies;
    if (news.load) load();
    show("is-live", "live");
  };
  stream.onerror = () => {
    if (stream && stream.readyState === EventSource.CLOSED && document.body.className !== "is-live") {
      polling();
      return;
    }
    lost();
  };
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Resume" : "Pause";
  if (paused) {
    close();
    show("is-paused", `paused, as of ${at} UTC`);
    return;
  }
  load();
  open();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) close();
  else if (!paused) {
    load();
    open();
  }
});
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => { if (event.persisted) open(); });
open();
