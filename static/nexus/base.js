// On every page: times in the viewer's zone, and buttons that copy. Pages are whole without it.
"use strict";

const FORMS = {
  moment: { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  day: { day: "numeric", month: "short", year: "numeric" },
};
const LANGUAGE = document.documentElement.lang;
const formats = Object.fromEntries(Object.entries(FORMS).map(([name, form]) => [name, new Intl.DateTimeFormat(LANGUAGE === "en" ? "en-GB" : LANGUAGE, form)]));

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
window.nexus = { showLocalTimes };
