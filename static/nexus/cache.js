// The cache's pages: one key press judges a sample, and the threshold moves among what the server has reckoned.
"use strict";

const TYPED = "input, textarea, select, [contenteditable]";

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPED)) return;
  const button = document.querySelector(`[data-queue] [data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (button === null) return;
  event.preventDefault();
  button.click();
});

// The next sample is read out, and the keyboard goes on from it.
document.addEventListener("htmx:afterSettle", (event) => {
  event.target.querySelector?.("[data-focus]")?.focus({ preventScroll: true });
});

function explore(explorer) {
  const rows = new Map(JSON.parse(document.getElementById("rows").textContent).map((row) => [row.at, row]));
  const slide = document.getElementById("slide");
  const number = document.getElementById("number");
  const first = Math.round(Number(slide.min) * 100);
  const place = (at) => (at - first) * Number(slide.dataset.step);

  function show(value) {
    const at = Math.round(Number(value) * 100);
    const row = rows.get(at);
    if (row === undefined) return;
    for (const node of explorer.querySelectorAll("[data-of]")) node.textContent = row[node.dataset.of];
    for (const node of explorer.querySelectorAll("[data-verdict]")) node.dataset.verdict = row.verdict;
    for (const line of explorer.querySelectorAll("[data-line]")) {
      line.setAttribute("x1", place(at));
      line.setAttribute("x2", place(at));
    }
    document.getElementById("given").setAttribute("x", place(at));
    const applied = document.getElementById("applied");
    if (applied !== null) applied.value = row.threshold;
    slide.value = number.value = row.threshold;
    slide.setAttribute("aria-valuetext", row.threshold);
  }

  // What is chosen stays in the address.
  function keep() {
    history.replaceState(null, "", `?threshold=${slide.value}`);
  }

  slide.hidden = false;
  document.getElementById("look").hidden = true;
  slide.addEventListener("input", () => show(slide.value));
  number.addEventListener("change", () => show(number.value));
  for (const field of [slide, number]) field.addEventListener("change", keep);
  document.getElementById("chooser").addEventListener("submit", (event) => event.preventDefault());
}

const explorer = document.getElementById("explorer");
if (explorer !== null) explore(explorer);
