// The page after sign-up: a reload leads to its own address, and the first call can be sent from here.
"use strict";

const start = document.querySelector(".start");
// It was the answer to a form, which nobody wants to send again.
if (location.pathname !== start.dataset.address) history.replaceState(null, "", start.dataset.address);

const fromHere = document.getElementById("from-here");
if (fromHere !== null) {
  const [button, said] = fromHere.children;
  fromHere.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const answer = await fetch("/v1/chat/completions", {
        method: "POST",
        headers: { authorization: `Bearer ${document.getElementById("api-key").textContent}`, "content-type": "application/json" },
        body: JSON.stringify({ model: button.dataset.model, messages: [{ role: "user", content: button.dataset.question }] }),
      });
      said.textContent = answer.ok ? `${answer.headers.get("x-cache")} · ${said.dataset.answered}` : `${said.dataset.failed} ${(await answer.json()).error.message}`;
    } catch (error) {
      said.textContent = `${said.dataset.failed} ${error.message}`;
    }
    button.disabled = false;
  });
}
