// Keeps the dashboard up to date: the server sends its texts and rows anew whenever something was booked.
"use strict";

const root = document.getElementById("live");
const stateNode = document.getElementById("state");
const chartNode = document.getElementById("chart");
const RETRY_MS = [500, 1000, 2000, 5000, 10000];
// The server sends something every 20 s; a silent connection is a dead one.
const SILENCE_MS = 45000;
const CHART_HEIGHT = 220;

function showFigures(figures) {
  for (const node of root.querySelectorAll("[data-figure]")) {
    const text = figures[node.dataset.figure];
    if (node.textContent !== text) node.textContent = text;
  }
}

function showLatest(rows) {
  const body = document.getElementById("latest");
  const selection = document.getSelection();
  // Who is copying a request id keeps the rows until the next update.
  if (!selection.isCollapsed && selection.containsNode(body, true)) return;
  // Rendered by our own templates, which escape.
  body.innerHTML = rows;
  document.getElementById("empty").hidden = rows !== "";
  document.getElementById("requests").hidden = rows === "";
}

let chart = null;

function stacked(series) {
  // Drawn from the top down, each over the one before: all, all but failures, hits, exact hits.
  return [
    series.map(([at]) => at),
    series.map(([, exact, semantic, miss, failed]) => exact + semantic + miss + failed),
    series.map(([, exact, semantic, miss]) => exact + semantic + miss),
    series.map(([, exact, semantic]) => exact + semantic),
    series.map(([, exact]) => exact),
  ];
}

function color(token) {
  return getComputedStyle(document.documentElement).getPropertyValue(token).trim();
}

function showChart(series) {
  const data = stacked(series);
  if (chart !== null) return chart.setData(data);
  const paths = uPlot.paths.bars({ size: [0.8, 24] });
  const layer = (token) => ({ fill: color(token), width: 0, paths, points: { show: false } });
  const axis = { stroke: color("--dim"), ticks: { show: false }, font: "12px system-ui" };
  const clock = (_, ticks) => ticks.map((at) => new Date(at * 1000).toISOString().slice(11, 16));
  chart = new uPlot(
    {
      width: chartNode.clientWidth,
      height: CHART_HEIGHT,
      cursor: { show: false },
      legend: { show: false },
      scales: {
        // Half a minute more on both sides: a bar stands around its minute.
        x: { range: (_, from, to) => [from - 30, to + 30] },
        y: { range: (_, low, high) => [0, Math.max(5, high * 1.1)] },
      },
      axes: [
        { ...axis, grid: { show: false }, values: clock, size: 32 },
        { ...axis, grid: { stroke: color("--line"), width: 1 }, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000] },
      ],
      series: [{}, layer("--red"), layer("--slate"), layer("--violet"), layer("--cyan")],
    },
    data,
    chartNode,
  );
  new ResizeObserver(() => chart.setSize({ width: chartNode.clientWidth, height: CHART_HEIGHT })).observe(chartNode);
}

function showState(state, label) {
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
    showState("on", "live");
    const message = JSON.parse(event.data);
    showFigures(message.figures);
    showLatest(message.latest);
    showChart(message.series);
  };
  socket.onclose = (event) => {
    clearTimeout(silence);
    if (event.code === 4401) return showState("off", "logged out: reload the page");
    if (event.code === 4404) return showState("off", "no longer yours to see: reload the page");
    showState("wait", "reconnecting…");
    setTimeout(() => connect(attempt + 1), RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
  };
}

showState("wait", "connecting…");
showChart(JSON.parse(document.getElementById("series").textContent));
connect(0);
