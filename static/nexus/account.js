// What allauth's scripts report when a browser gives no passkey: said on the page instead of in the console.
"use strict";

document.addEventListener("allauth.error", (event) => {
  const trouble = document.getElementById("passkey-trouble");
  if (trouble === null) return;
  event.preventDefault();
  trouble.hidden = false;
});
