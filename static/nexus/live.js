// Keeps the live dashboard up to date: a snapshot from the page, then those that come over the WebSocket.
"use strict";

const root = document.querySelector("[data-feed]");
const stateNode = document.getElementById("state");
const COLORS = { exact: "#22e6d2", semantic: "#b48bff", miss: "#ff7ac6" };
const RETRY_MS = [500, 1000, 2000, 5000, 10000];
// The server sends something every 20 s; a silent connection is a dead one.
const SILENCE_MS = 45000;

const whole = new Intl.NumberFormat("en-US");

function usd(text) {
  if (text === null) return "no price";
  const value = Number(text);
  if (value === 0) return "$0";
  const digits = value >= 100 ? 2 : value >= 0.01 ? 4 : 6;
  return "$" + value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function milliseconds(value) {
  return value >= 1000 ? (value / 1000).toFixed(2) + " s" : value.toFixed(value < 10 ? 1 : 0) + " ms";
}

function setFigure(name, text) {
  const node = root.querySelector(`[data-figure="${name}"]`);
  if (node && node.textContent !== text) node.textContent = text;
}

function showTotals(month, all) {
  for (const name of ["requests", "exact_hits", "semantic_hits", "misses", "errors", "unpriced"]) {
    setFigure(name, whole.format(month[name]));
  }
  setFigure("hit_rate", month.hit_rate === null ? "–" : (100 * month.hit_rate).toFixed(1) + " %");
  setFigure("saved_usd", usd(month.saved_usd));
  setFigure("cost_usd", usd(month.cost_usd));
  setFigure("all_saved_usd", usd(all.saved_usd));
}

function cell(row, text, kind) {
  const node = row.insertCell();
  node.textContent = text;
  if (kind) node.className = kind;
  return node;
}

function showLatest(records) {
  const body = document.getElementById("latest");
  const rows = document.createDocumentFragment();
  for (const record of records) {
    const row = document.createElement("tr");
    cell(row, new Date(record.at * 1000).toISOString().slice(11, 19));
    const outcome = cell(row, "");
    const badge = document.createElement("span");
    badge.className = "badge " + (record.status >= 400 ? "failed" : record.outcome.toLowerCase());
    badge.textContent = record.status >= 400 ? `${record.status} ${record.error}` : record.outcome;
    outcome.append(badge);
    cell(row, record.model);
    const provider = cell(row, record.provider);
    if (record.simulated) {
      const label = document.createElement("span");
      label.className = "badge simulated";
      label.textContent = "SIMULATED";
      provider.textContent = "";
      provider.append(label);
    }
    cell(row, whole.format(record.tokens), "n");
    cell(row, milliseconds(record.latency_ms), "n");
    cell(row, usd(record.cost_usd), "n");
    cell(row, usd(record.saved_usd), "n");
    cell(row, record.similarity === null ? "" : record.similarity.toFixed(3), "n");
    cell(row, record.request_id, "id").title = record.request_id;
    rows.append(row);
  }
  body.replaceChildren(rows);
  document.getElementById("empty").hidden = records.length > 0;
  body.closest("table").hidden = records.length === 0;
}

let chart = null;

function stacked(series) {
  // Drawn from the top down: all, then hits, then exact hits, each over the one before.
  return [
    series.map((row) => row[0]),
    series.map((row) => row[1] + row[2] + row[3]),
    series.map((row) => row[1] + row[2]),
    series.map((row) => row[1]),
  ];
}

function showChart(series) {
  const node = document.getElementById("chart");
  const data = stacked(series);
  if (chart !== null) return chart.setData(data);
  const bars = uPlot.paths.bars({ size: [0.8, 24] });
  const layer = (label, color) => ({ label, fill: color, stroke: color, width: 0, paths: bars, points: { show: false } });
  const axis = { stroke: "#9fb0cf", grid: { stroke: "#1d2740", width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  chart = new uPlot(
    {
      width: node.clientWidth,
      height: 220,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { show: false },
      legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(5, high * 1.1)] } },
      axes: [{ ...axis, grid: { show: false }, values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toISOString().slice(11, 16)) }, { ...axis, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] }],
      series: [{}, layer("misses", COLORS.miss), layer("semantic hits", COLORS.semantic), layer("exact hits", COLORS.exact)],
    },
    data,
    node,
  );
  new ResizeObserver(() => chart.setSize({ width: node.clientWidth, height: 220 })).observe(node);
}

function show(snapshot) {
  showTotals(snapshot.month, snapshot.all);
  showLatest(snapshot.latest);
  showChart(snapshot.series);
}

function setState(state, label) {
  stateNode.dataset.state = state;
  const node = stateNode.querySelector(".label");
  if (node.textContent !== label) node.textContent = label;
}

function connect(attempt) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${root.dataset.feed}`);
  let silence = setTimeout(() => socket.close(), SILENCE_MS);
  socket.onmessage = (event) => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), SILENCE_MS);
    attempt = 0;
    setState("on", "live");
    const message = JSON.parse(event.data);
    if (message.type === "snapshot") show(message);
  };
  socket.onclose = (event) => {
    clearTimeout(silence);
    if (event.code === 4401 || event.code === 4404) {
      setState("off", "logged out: reload the page");
      return;
    }
    setState("wait", "reconnecting…");
    setTimeout(() => connect(attempt + 1), RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
  };
}

show(JSON.parse(document.getElementById("snapshot").textContent));
connect(0);
