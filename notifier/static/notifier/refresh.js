// Refreshes a part of a page every two seconds. Without this script, reload the page.
"use strict";

(() => {
  const SECONDS = 2;
  // A screen reader reads each change to its end.
  const TOLD_SECONDS = 10;

  for (const place of document.querySelectorAll("[data-refresh]")) {
    const version = () => place.querySelector("[data-version]")?.dataset.version;
    const first = version();
    // A part that has everything that depends on its state; its value names the line that tells the progress.
    const isWhole = "inPlace" in place.dataset;
    const status = isWhole && document.getElementById(place.dataset.inPlace);
    let timer = null;
    let toldAt = Date.now();

    const plan = () => {
      clearTimeout(timer);
      if (!document.hidden) timer = setTimeout(ask, SECONDS * 1000);
    };
    // Keep the focus on the same link or button, else on the part itself.
    const replace = (html) => {
      const controls = () => [...place.querySelectorAll("a, button")];
      const name = (control) => `${control.textContent.trim()} ${control.getAttribute("href")}`;
      const focused = place.contains(document.activeElement) ? document.activeElement : null;
      const kept = focused && name(focused);
      place.innerHTML = html;
      if (!focused) return;
      place.tabIndex = -1;
      (controls().find((control) => name(control) === kept) ?? place).focus({ preventScroll: true });
    };
    const tell = (hasEnded) => {
      const text = place.querySelector("[data-told]")?.dataset.told;
      if (!status || !text || status.textContent === text) return;
      if (!hasEnded && Date.now() - toldAt < TOLD_SECONDS * 1000) return;
      toldAt = Date.now();
      status.textContent = text;
    };
    const ask = async () => {
      try {
        const response = await fetch(place.dataset.refresh, { headers: { Accept: "text/html" } });
        // The user is logged out or no longer allowed, so asking again is useless.
        if (response.redirected || response.status === 403 || response.status === 404) return;
        if (response.ok) replace(await response.text());
        // The state has changed, and the rest of the page, such as its buttons, depends on it.
        if (!isWhole && version() !== first) return location.reload();
        const hasEnded = place.querySelector("[data-ended]") !== null;
        tell(hasEnded);
        if (hasEnded) return place.removeAttribute("data-refresh");
      } catch {
        // The network may be down for a moment; the next request may succeed.
      }
      plan();
    };

    document.addEventListener("visibilitychange", () => place.dataset.refresh && plan());
    plan();
  }
})();
