// Shows what a draft makes while somebody writes it. Without this script, "Check and preview" does it.
"use strict";

(() => {
  const form = document.getElementById("draft");
  const problems = document.getElementById("template-problems");
  const shown = document.getElementById("template-shown");
  const WAIT = 400;
  let timer = null;
  let asked = 0;

  // A frame whose email is the same stays, and with it the place to which somebody scrolled.
  const show = (fresh) => {
    const old = [...shown.querySelectorAll("iframe")];
    const now = [...fresh.querySelectorAll(".template-shown iframe")];
    const isSame = old.length > 0 && old.length === now.length && old.every((frame, index) => frame.srcdoc === now[index].srcdoc);
    if (!isSame) shown.replaceChildren(...fresh.querySelectorAll(".template-shown"));
  };

  const ask = async () => {
    const number = ++asked;
    try {
      const response = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form) });
      if (number !== asked) return;
      if (!response.ok || response.redirected) {
        problems.textContent = "There is no preview. Copy your text, then reload the page and log in again.";
        return;
      }
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      problems.replaceChildren(...fresh.querySelectorAll(".template-problems"));
      const markers = fresh.getElementById("template-markers");
      if (markers) form.dispatchEvent(new CustomEvent("problems", { detail: JSON.parse(markers.textContent) }));
      show(fresh);
    } catch {
      // The network may be down for a moment; the next key asks again.
    }
  };

  form.addEventListener("input", (event) => {
    if (["view", "why", "language_to_add"].includes(event.target.name)) return;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT);
  });

  // Go to the place of a problem; the editor does it by itself if there is one.
  problems.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-file]");
    const field = link && form.elements.namedItem(`file:${link.dataset.file}`);
    if (!field) return;
    event.preventDefault();
    field.closest("details").open = true;
    const place = { line: Number(link.dataset.line), column: Number(link.dataset.column) };
    if (!field.dispatchEvent(new CustomEvent("jump", { detail: place, cancelable: true }))) return;
    const begin = field.value.split("\n").slice(0, place.line - 1).join("\n").length + (place.line > 1 ? 1 : 0);
    field.focus();
    field.setSelectionRange(begin + place.column - 1, begin + place.column - 1);
  });
})();
