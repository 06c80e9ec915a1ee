// Names for the fields of the operators' admin that have none: in rows of a table, and those that select2 draws.
"use strict";

function nameFields() {
  for (const cell of document.querySelectorAll("td[data-label]")) {
    for (const field of cell.querySelectorAll("select, input:not([type=hidden]), textarea")) {
      if (!field.hasAttribute("aria-label")) field.setAttribute("aria-label", cell.dataset.label);
    }
  }
  for (const drawn of document.querySelectorAll(".select2-selection")) {
    const select = drawn.closest(".select2-container").previousElementSibling;
    const label = select.getAttribute("aria-label") ?? document.querySelector(`label[for="${select.id}"]`)?.textContent.replace("*", "").trim();
    if (label === undefined) continue;
    const value = drawn.querySelector(".select2-selection__rendered");
    drawn.removeAttribute("aria-labelledby");
    drawn.setAttribute("aria-label", value?.title ? `${label}: ${value.title}` : label);
    // It would be a field in a field, without a name of its own.
    for (const name of ["role", "aria-readonly", "aria-disabled"]) value?.removeAttribute(name);
  }
}

// Rows are added, and select2 draws its fields whenever it is ready, and anew when another value is chosen.
document.addEventListener("DOMContentLoaded", () => {
  nameFields();
  new MutationObserver(nameFields).observe(document.body, { childList: true, subtree: true });
});
