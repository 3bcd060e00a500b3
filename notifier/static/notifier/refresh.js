// Shows again, every two seconds, a part of a page that changes by itself. Without this, reloading shows the same.
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
    // What has the focus keeps it, where it is still there.
    const replace = (html) => {
      const links = () => [...place.querySelectorAll("a, button")];
      const focused = links().indexOf(document.activeElement);
      place.innerHTML = html;
      if (focused >= 0) links()[focused]?.focus();
    };
    const ask = async () => {
      try {
        const response = await fetch(place.dataset.refresh, { headers: { Accept: "text/html" } });
        // Logged out, or no longer allowed: asking again changes nothing.
        if (response.redirected || response.status === 403 || response.status === 404) return;
        if (response.ok) replace(await response.text());
        // What stands around it, buttons too, is of another state now.
        if (version() !== first) return location.reload();
      } catch {
        // The network is away for a moment; the next question may get through.
      }
      plan();
    };

    document.addEventListener("visibilitychange", plan);
    plan();
  }
})();
