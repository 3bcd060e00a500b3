// Fetches the live part of the overview every few seconds while its tab is visible. Without this, a reload does.
"use strict";

(() => {
  const EVERY = 5000;
  const place = document.querySelector("[data-live]");
  const time = document.querySelector("[data-live-time]");
  const problem = document.querySelector("[data-live-problem]");
  if (!place) return;

  let timer = null;
  let isOver = false;

  const say = (text) => {
    // Screen readers read each change aloud, so change the text only once and not at every try.
    if (problem.textContent !== text) problem.textContent = text;
  };

  // Keep the focus on the link or button that has it.
  const swap = (html) => {
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = html;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  const isHeld = () => {
    const selection = document.getSelection();
    return !selection.isCollapsed && place.contains(selection.anchorNode);
  };

  const plan = () => {
    clearTimeout(timer);
    if (!document.hidden && !isOver) timer = setTimeout(ask, EVERY);
  };

  const ask = async () => {
    try {
      const response = await fetch(place.dataset.live, { headers: { Accept: "text/html" } });
      if (response.redirected || response.status === 403) {
        isOver = true;
        say("You are logged out: reload the page to log in.");
        return;
      }
      if (!response.ok) throw new Error(response.status);
      const html = await response.text();
      // Do not replace the page while somebody selects text to copy it.
      if (!isHeld()) {
        swap(html);
        time.textContent = `Last updated ${new Date().toLocaleTimeString()}.`;
      }
      say("");
    } catch {
      say("The connection is lost: these figures are old. Trying again.");
    }
    plan();
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : isOver || ask()));
  plan();
})();
