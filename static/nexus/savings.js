// What the pointer or a finger is on in the chart is told in a line of text below it. The table has all of it.
"use strict";

const plot = document.getElementById("plot");
const readout = document.getElementById("readout");

function tell(event) {
  const bar = event.target.closest(".bar");
  for (const other of plot.querySelectorAll(".bar.on")) other.classList.remove("on");
  readout.textContent = bar === null ? readout.dataset.hint : bar.dataset.text;
  bar?.classList.add("on");
}

if (readout !== null) readout.textContent = readout.dataset.hint;
plot?.addEventListener("pointerover", tell);
plot?.addEventListener("click", tell);
