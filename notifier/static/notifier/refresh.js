// Refreshes a part of a page every two seconds. Without this script, reload the page.
"use strict";

(() => {
  const SECONDS = 2;
  // A screen reader reads each change to its end.
  const TOLD_SECONDS = 10;

  // A screen reader hears what changes here.
  const status = document.createElement("p");
  status.className = "fact-hidden";
  status.setAttribute("role", "status");
  document.body.append(status);

  const words = (part) => part?.textContent.replace(/\s+/g, " ").trim() ?? "";

  // The element of a new part that is what the focused one of the old part was: by its id, or by its words.
  const twin = (old, part) => {
    if (!old || old === part) return null;
    if (old.id) return [...part.querySelectorAll("[id]")].find((one) => one.id === old.id);
    return [...part.querySelectorAll(old.tagName)].find((one) => words(one) === words(old));
  };

  // Replace what is inside, and keep the focus. If the focused element is gone, the focus goes to `instead`.
  const replace = (part, html, instead) => {
    const old = part.contains(document.activeElement) ? document.activeElement : null;
    part.innerHTML = html;
    (twin(old, part) ?? (old ? instead : null))?.focus({ preventScroll: true });
  };

  const watch = (place) => {
    const version = () => place.querySelector("[data-version]")?.dataset.version;
    const first = version();
    let timer = null;
    let last = null;
    let toldAt = Date.now();

    const plan = () => {
      clearTimeout(timer);
      if (!document.hidden && place.isConnected) timer = setTimeout(ask, SECONDS * 1000);
    };

    // Text that somebody is selecting or copying stays as it is.
    const show = (html) => {
      if (html !== last) replace(place, html, document.querySelector("main"));
      last = html;
      const told = place.querySelector("[data-told]")?.dataset.told;
      if (!told || Date.now() - toldAt < TOLD_SECONDS * 1000) return;
      toldAt = Date.now();
      status.textContent = told;
    };

    // The state has changed, and the rest of the page, such as its buttons, depends on it.
    const renew = async () => {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      const main = document.querySelector("main");
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("main");
      if (!response.ok || response.redirected || !main || !fresh) return location.reload();
      replace(main, fresh.innerHTML, main);
      status.textContent = words(main.querySelector(".fact-situation-text"));
      document.querySelectorAll("[data-refresh]").forEach(watch);
    };

    const ask = async () => {
      try {
        const response = await fetch(place.dataset.refresh, { headers: { Accept: "text/html" } });
        if (response.redirected || response.status === 403) {
          status.className = "fact-reason";
          status.textContent = "Your session has ended. Reload the page to log in.";
          document.querySelector("main")?.prepend(status);
          return;
        }
        // What was watched is gone, so asking again is useless.
        if (response.status === 404) return;
        if (response.ok) show(await response.text());
        if (version() !== first) return await renew();
      } catch {
        // The network may be down for a moment; the next request may succeed.
      }
      plan();
    };

    document.addEventListener("visibilitychange", plan);
    plan();
  };

  document.querySelectorAll("[data-refresh]").forEach(watch);
})();
