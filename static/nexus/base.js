// On every page: times in the viewer's zone, and buttons that copy. Pages are whole without it.
"use strict";

const FORMS = {
  moment: { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  day: { day: "numeric", month: "short", year: "numeric" },
};
// The day stands before the month in our English (nexus/formats/en).
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const formats = Object.fromEntries(Object.entries(FORMS).map(([name, form]) => [name, new Intl.DateTimeFormat(language, form)]));

// The server writes UTC, which stays as the tooltip. A day is one of UTC, as the ledger's are, and is left alone.
function showLocalTimes(root) {
  for (const node of root.querySelectorAll("time[data-when]")) {
    if (node.dataset.when !== "day") node.textContent = formats[node.dataset.when].format(new Date(node.dateTime));
  }
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    button.textContent = button.dataset.done;
  } catch {
    // Without HTTPS there is no clipboard: select it, so that the keyboard can copy.
    document.getSelection().selectAllChildren(source);
  }
  setTimeout(() => (button.textContent = label), 1600);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button !== null) copy(button);
});
// What htmx has put in.
document.addEventListener("htmx:load", (event) => showLocalTimes(event.target.parentNode ?? document));
showLocalTimes(document);
// What would do nothing without a script is not shown until then (nexus.css).
document.documentElement.classList.add("scripted");
// On narrow screens sections stand in a row that scrolls: to the one that is open.
for (const here of document.querySelectorAll(".side [aria-current], .sub [aria-current]")) {
  const row = here.closest("ul, nav");
  row.scrollLeft += here.getBoundingClientRect().left - row.getBoundingClientRect().left - (row.clientWidth - here.clientWidth) / 2;
}
window.nexus = { language, showLocalTimes };
