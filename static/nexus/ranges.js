// A time that is written into the picker is the viewer's own; without this script it is UTC.
"use strict";

for (const input of document.querySelectorAll("input[data-zone]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  input.value = zone;
  for (const label of input.form.querySelectorAll(".zone")) label.textContent = zone;
}
