// Fetches the live part of the overview every few seconds while the page is visible. Without this script, reload the page.
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
    // Screen readers announce each change, so set the text only once.
    if (problem.textContent !== text) problem.textContent = text;
  };

  // Keep the focus on the same link or button.
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
        say("You are logged out. Reload the page to log in.");
        return;
      }
      if (!response.ok) throw new Error(response.status);
      const html = await response.text();
      // Do not replace the page while the reader selects text.
      if (!isHeld()) {
        swap(html);
        time.textContent = `Last updated ${new Date().toLocaleTimeString()}.`;
      }
      say("");
    } catch {
      say("Connection lost. These figures are old; we keep trying to update them.");
    }
    plan();
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : isOver || ask()));
  plan();
})();
