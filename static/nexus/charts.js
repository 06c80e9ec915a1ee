// Bars over time, in the viewer's zone; what the pointer is on is told in a line of text below, with UTC.
"use strict";

window.nexus.charts = (() => {
  const HEIGHT = 220;
  const DAY_S = 86400;
  const format = (form) => new Intl.DateTimeFormat(window.nexus.language, { hourCycle: "h23", ...form });
  const clock = format({ hour: "2-digit", minute: "2-digit" });
  const day = format({ day: "numeric", month: "short" });
  const moment = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const utc = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  const at = (seconds) => new Date(seconds * 1000);

  function color(token) {
    return getComputedStyle(document.documentElement).getPropertyValue(token).trim();
  }

  // `tokens`: a colour for each layer, the one behind first. `write`: of a value on the axis. `tell`: of the bar at an index.
  // The scale reaches at least to `least`, and to `empty` where there is nothing.
  function bars(node, readout, { stepS, tokens, write, tell, incrs, least, empty, size }) {
    const paths = uPlot.paths.bars({ size: [0.8, 26], align: 1 });
    const layer = (token) => ({ fill: color(token), width: 0, paths, points: { show: false } });
    const axis = { stroke: color("--dim"), ticks: { show: false }, font: "12px system-ui" };
    let chart = null;

    function say() {
      const index = chart.cursor.idx;
      let text = readout.dataset.hint;
      if (index != null) {
        const [here, there] = [moment, utc].map((form) => form.format(at(chart.data[0][index])));
        text = `${here}${here === there ? "" : ` (${there} UTC)`}: ${tell(index)}`;
      }
      if (readout.textContent !== text) readout.textContent = text;
    }

    function hours(_, ticks) {
      const spanS = ticks.length ? ticks[ticks.length - 1] - ticks[0] : 0;
      return ticks.map((tick) => {
        const isMidnight = at(tick).getHours() + at(tick).getMinutes() === 0;
        return isMidnight || spanS > 4 * DAY_S ? day.format(at(tick)) : clock.format(at(tick));
      });
    }

    function draw(data) {
      chart = new uPlot(
        {
          width: node.clientWidth,
          height: HEIGHT,
          cursor: { x: true, y: false, points: { show: false }, drag: { x: false, y: false } },
          legend: { show: false },
          scales: {
            x: { range: (_, from, to) => [from, to + stepS] },
            y: { range: (_, low, high) => [0, high > 0 ? Math.max(least, high * 1.1) : empty] },
          },
          axes: [
            { ...axis, grid: { show: false }, values: hours, size: 32, space: 64 },
            { ...axis, grid: { stroke: color("--line"), width: 1 }, size, incrs, values: (_, ticks) => ticks.map(write) },
          ],
          series: [{}, ...tokens.map(layer)],
          hooks: { setCursor: [say] },
        },
        data,
        node,
      );
      new ResizeObserver(() => chart.setSize({ width: node.clientWidth, height: HEIGHT })).observe(node);
    }

    return (data) => {
      if (chart === null) return draw(data);
      chart.setData(data);
      say();
    };
  }

  return { bars };
})();
