// Keeps the live page up to date: the server sends its texts and rows anew whenever something was booked.
"use strict";

const root = document.getElementById("live");
const stateNode = document.getElementById("state");
const RETRY_MS = [500, 1000, 2000, 5000, 10000];
// The server sends something every 20 s; a silent connection is a dead one.
const SILENCE_MS = 45000;
// Who does not see the page is told its figures no more often.
const SAY_MS = 60000;

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function showFigures(figures, deltas) {
  for (const node of root.querySelectorAll("[data-figure]")) setText(node, figures[node.dataset.figure]);
  for (const node of root.querySelectorAll("[data-delta]")) {
    const [text, kind] = deltas[node.dataset.delta];
    setText(node, text);
    node.className = `delta ${kind}`;
  }
}

let saidAt = Date.now();

function say(text) {
  if (Date.now() - saidAt < SAY_MS) return;
  saidAt = Date.now();
  setText(document.getElementById("said"), text);
}

function keepCells(old, fresh) {
  for (let at = 0; at < fresh.cells.length; at += 1) {
    if (old.cells[at].innerHTML !== fresh.cells[at].innerHTML) old.cells[at].innerHTML = fresh.cells[at].innerHTML;
  }
}

// Rows that stay are left in their place, with what is focused or selected in them. `keep` brings one up to date.
function showRows(body, html, keep) {
  const template = document.createElement("template");
  // Rendered by our own templates, which escape.
  template.innerHTML = `<table><tbody>${html}</tbody></table>`;
  const known = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  let next = body.firstElementChild;
  for (const fresh of [...template.content.querySelectorAll("tr")]) {
    const old = known.get(fresh.dataset.id);
    if (old !== undefined) keep(old, fresh);
    else window.nexus.showLocalTimes(fresh);
    if (old !== undefined && old === next) next = next.nextElementSibling;
    else body.insertBefore(old ?? fresh, next);
  }
  while (next !== null) {
    const gone = next;
    next = next.nextElementSibling;
    gone.remove();
  }
}

function showTables(message) {
  // A request does not change any more.
  showRows(document.getElementById("latest"), message.latest, () => {});
  showRows(document.getElementById("models"), message.models, keepCells);
  showRows(document.getElementById("kinds"), message.kinds, keepCells);
  document.getElementById("no-kinds").hidden = message.kinds !== "";
  document.getElementById("requests").hidden = message.latest === "";
  document.getElementById("quiet").hidden = message.empty || message.latest !== "";
  document.getElementById("empty").hidden = !message.empty;
  document.getElementById("told").hidden = message.empty;
}

// Limits that are used up: said once, and left alone while they are the same.
function showShortages(html) {
  const node = document.getElementById("short");
  const template = document.createElement("template");
  template.innerHTML = html;
  if (node.innerHTML.trim() !== template.innerHTML) node.innerHTML = html;
}

const stepS = Number(root.dataset.step);
let series = [];
const legend = [...root.querySelectorAll(".legend li")].map((item) => item.textContent);
const usd = (value) => (value === 0 ? "$0" : `$${value.toLocaleString(nexus.language, { maximumSignificantDigits: 4 })}`);
const drawRequests = nexus.charts.bars(document.getElementById("chart"), document.getElementById("readout"), {
  stepS,
  tokens: ["--red", "--slate", "--violet", "--cyan"],
  write: (value) => value.toLocaleString(nexus.language),
  tell: (at) => legend.map((name, column) => `${series[at][column + 1].toLocaleString(nexus.language)} ${name}`).join(" · "),
  incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000],
  least: 5,
  empty: 5,
  size: 52,
});
const drawSaved = nexus.charts.bars(document.getElementById("saved-chart"), document.getElementById("saved-readout"), {
  stepS,
  tokens: ["--green"],
  write: usd,
  tell: (at) => usd(series[at][5]),
  incrs: [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power)),
  least: 0,
  empty: 0.01,
  size: 68,
});

function showCharts(bars) {
  series = bars;
  const times = bars.map(([at]) => at);
  // Drawn from the top down, each over the one before: all, all but failures, hits, exact hits.
  const upTo = (columns) => bars.map((bar) => bar.slice(1, 1 + columns).reduce((sum, part) => sum + part, 0));
  drawRequests([times, upTo(4), upTo(3), upTo(2), upTo(1)]);
  drawSaved([times, bars.map((bar) => bar[5])]);
}

function showState(state, label) {
  stateNode.dataset.state = state;
  setText(stateNode.querySelector(".label"), label);
}

function connect(attempt) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${root.dataset.feed}`);
  let silence = setTimeout(() => socket.close(), SILENCE_MS);
  socket.onmessage = (event) => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), SILENCE_MS);
    attempt = 0;
    showState("on", root.dataset.live);
    const message = JSON.parse(event.data);
    showFigures(message.figures, message.deltas);
    say(message.figures.said);
    showTables(message);
    showShortages(message.short);
    showCharts(message.series);
  };
  socket.onclose = (event) => {
    clearTimeout(silence);
    if (event.code === 4401) return showState("off", root.dataset.out);
    if (event.code === 4404) return showState("off", root.dataset.gone);
    if (event.code === 4400 || event.code === 4429) return showState("off", root.dataset.refused);
    showState("wait", root.dataset.reconnecting);
    setTimeout(() => connect(attempt + 1), RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
  };
}

for (const node of root.querySelectorAll("[data-hint]")) node.textContent = node.dataset.hint;
showCharts(JSON.parse(document.getElementById("series").textContent));
if (root.dataset.feed) {
  showState("wait", root.dataset.connecting);
  connect(0);
}
