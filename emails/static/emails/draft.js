// Shows what a draft makes while somebody writes it. Without this script, "Check and preview" does it.
"use strict";

(() => {
  const form = document.getElementById("draft");
  const WAIT = 400;
  let timer = null;
  let asked = 0;

  const show = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    document.getElementById("template-problems").replaceChildren(...fresh.querySelectorAll(".template-problems"));
    const part = document.getElementById("template-shown");
    const frames = [...part.querySelectorAll("iframe")];
    const now = [...fresh.querySelectorAll("iframe")];
    // A frame whose email is the same keeps its place.
    if (frames.length && frames.every((frame, index) => frame.srcdoc === now[index]?.srcdoc)) {
      now.forEach((frame, index) => frame.replaceWith(document.createComment(String(index))));
      return;
    }
    part.replaceChildren(...fresh.querySelectorAll(".template-shown"));
  };

  const ask = async () => {
    const number = ++asked;
    try {
      const response = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form) });
      if (number !== asked) return;
      if (response.ok && !response.redirected) show(await response.text());
      else document.getElementById("template-problems").textContent = "The preview is not available. Reload the page to log in again; copy your text first.";
    } catch {
      // The network may be down for a moment; the next key asks again.
    }
  };

  form.addEventListener("input", (event) => {
    if (event.target.name === "view" || event.target.name === "why") return;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT);
  });
})();
