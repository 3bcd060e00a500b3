// Fetches a part of a page that changes by itself every two seconds. Without this, a reload shows the same.
"use strict";

(() => {
  const SECONDS = 2;

  for (const place of document.querySelectorAll("[data-refresh]")) {
    const version = () => place.querySelector("[data-version]")?.dataset.version;
    const first = version();
    let timer = null;

    const plan = () => {
      clearTimeout(timer);
      if (!document.hidden) timer = setTimeout(ask, SECONDS * 1000);
    };
    // Keep the focus on the link or button that has it, if it is still there.
    const replace = (html) => {
      const links = () => [...place.querySelectorAll("a, button")];
      const focused = links().indexOf(document.activeElement);
      place.innerHTML = html;
      if (focused >= 0) links()[focused]?.focus();
    };
    const ask = async () => {
      try {
        const response = await fetch(place.dataset.refresh, { headers: { Accept: "text/html" } });
        // The user is logged out or no longer allowed: do not ask again.
        if (response.redirected || response.status === 403 || response.status === 404) return;
        if (response.ok) replace(await response.text());
        // The state has changed, so the rest of the page, buttons too, is out of date.
        if (version() !== first) return location.reload();
      } catch {
        // The network failed for a moment; the next request may succeed.
      }
      plan();
    };

    document.addEventListener("visibilitychange", plan);
    plan();
  }
})();
