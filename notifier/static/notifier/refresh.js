// Refreshes a part of a page every two seconds. Without this script, reload the page.
"use strict";

(() => {
  const SECONDS = 2;

  for (const place of document.querySelectorAll("[data-refresh]")) {
    const version = () => place.querySelector("[data-version]")?.dataset.version;
    const first = version();
    let timer = null;
    let last = null;

    const plan = () => {
      clearTimeout(timer);
      if (!document.hidden) timer = setTimeout(ask, SECONDS * 1000);
    };
    // Keep the focus on the same link or button, if it still exists.
    const replace = (html) => {
      // Text that somebody is selecting or copying stays as it is.
      if (html === last) return;
      last = html;
      const links = () => [...place.querySelectorAll("a, button")];
      const focused = links().indexOf(document.activeElement);
      place.innerHTML = html;
      if (focused >= 0) links()[focused]?.focus();
    };
    const ask = async () => {
      try {
        const response = await fetch(place.dataset.refresh, { headers: { Accept: "text/html" } });
        // The user is logged out or no longer allowed, so asking again is useless.
        if (response.redirected || response.status === 403 || response.status === 404) return;
        if (response.ok) replace(await response.text());
        // The state has changed, and the rest of the page, such as its buttons, depends on it.
        if (version() !== first) return location.reload();
      } catch {
        // The network may be down for a moment; the next request may succeed.
      }
      plan();
    };

    document.addEventListener("visibilitychange", plan);
    plan();
  }
})();
