// A route's form: what a row shows follows the strategy, and shares follow the weights, as one types.
"use strict";

const route = document.getElementById("route");

function showShares() {
  const targets = document.getElementById("targets");
  targets.dataset.strategy = route.elements.strategy.value;
  const weights = [...targets.querySelectorAll("[data-weight]")].map((field) => (/^\d+$/.test(field.value.trim()) ? Number(field.value) : 0));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  targets.querySelectorAll(".share-of").forEach((share, at) => {
    share.textContent = total ? `${Number(((100 * weights[at]) / total).toPrecision(3))} %` : "";
  });
}

route.addEventListener("input", showShares);
document.addEventListener("htmx:afterSettle", showShares);
