// The playground: one request for each column, its answer shown as it comes. What models say is text, never markup.
"use strict";

const form = document.getElementById("ask");
const columns = document.getElementById("columns");
const words = document.getElementById("words").dataset;
const stop = document.getElementById("stop");
const others = [...document.querySelectorAll(".other")];
const more = document.getElementById("more");
let leaving = null;

const part = (column, name) => column.querySelector(`[data-of="${name}"]`);
const say = (column, name, text) => (part(column, name).textContent = text);

function makeColumn(model) {
  const column = document.getElementById("column").content.firstElementChild.cloneNode(true);
  say(column, "model", model);
  say(column, "state", words.asking);
  column.setAttribute("aria-busy", "true");
  columns.append(column);
  return column;
}

function link(column, id) {
  if (!id) return;
  say(column, "request", id);
  part(column, "request").href = columns.dataset.story.replace("REQUEST", encodeURIComponent(id));
}

function fail(column, message, state) {
  column.classList.add("failed");
  say(column, "state", state);
  say(column, "error", message);
  part(column, "error").hidden = false;
}

function tell(column, facts) {
  column.classList.add(facts.kind);
  for (const name of ["cache", "similarity", "answered_by", "latency", "first_token", "tokens", "cost", "saved"]) say(column, name, facts[name]);
  part(column, "simulated").hidden = !facts.is_simulated;
  say(column, "reason", facts.reason ? `${words.reason} ${facts.reason}` : "");
  say(column, "state", words.done);
  link(column, facts.request_id);
}

function take(column, event) {
  if (event.text !== undefined) {
    const said = part(column, "text");
    const atEnd = said.scrollHeight - said.scrollTop - said.clientHeight < 30;
    said.append(event.text);
    if (atEnd) said.scrollTop = said.scrollHeight;
  }
  if (event.facts) tell(column, event.facts);
  if (event.error) fail(column, event.error.message, words.broken);
}

async function follow(column, body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  let ended = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const events = (held + value).split("\n\n");
    held = events.pop();
    for (const event of events) {
      const said = JSON.parse(event.slice("data: ".length));
      ended ||= said.facts !== undefined || said.error !== undefined;
      take(column, said);
    }
  }
  if (!ended) fail(column, words.lost, words.broken);
}

async function ask(model, column, signal) {
  const body = new URLSearchParams(new FormData(form));
  body.set("model", model);
  try {
    const answer = await fetch(form.dataset.ask, { method: "POST", body, signal });
    const kind = answer.headers.get("content-type") ?? "";
    link(column, answer.headers.get("x-request-id"));
    if (kind.startsWith("text/event-stream")) {
      say(column, "cache", answer.headers.get("x-cache"));
      say(column, "state", words.answering);
      await follow(column, answer.body);
    } else if (!kind.startsWith("application/json")) {
      fail(column, words.out, `${words.refused} · ${answer.status}`);
    } else if (answer.ok) {
      take(column, await answer.json());
    } else {
      fail(column, (await answer.json()).error.message, `${words.refused} · ${answer.status}`);
    }
  } catch (error) {
    if (error.name === "AbortError") say(column, "state", words.stopped);
    else fail(column, words.lost, words.broken);
  }
  column.removeAttribute("aria-busy");
}

async function askAll() {
  leaving?.abort();
  const mine = (leaving = new AbortController());
  const beside = others.filter((field) => !field.hidden).map((field) => field.querySelector("input").value.trim());
  const models = [...new Set([form.elements.model.value.trim(), ...beside])].filter(Boolean);
  columns.replaceChildren();
  stop.hidden = false;
  const running = models.map((model) => ask(model, makeColumn(model), mine.signal));
  // On a phone answers are below the form.
  if (columns.getBoundingClientRect().top > 0.8 * innerHeight) columns.scrollIntoView();
  await Promise.all(running);
  if (leaving === mine) stop.hidden = true;
}

form.noValidate = false;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  askAll();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
stop.addEventListener("click", () => leaving?.abort());

more.addEventListener("click", () => {
  const next = others.find((field) => field.hidden);
  next.hidden = false;
  next.querySelector("input").focus();
  more.hidden = others.every((field) => !field.hidden);
});
for (const field of others) {
  field.querySelector("[data-less]").addEventListener("click", () => {
    field.querySelector("input").value = "";
    field.hidden = true;
    more.hidden = false;
    more.focus();
  });
}
document.getElementById("others").hidden = false;
document.getElementById("streams").hidden = false;
