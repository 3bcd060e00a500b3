/* Times in the viewer's zone, and lists that keep themselves fresh. The pages work without it. */
"use strict";

const REFRESH_MILLISECONDS = 2000;

function showTimes(root) {
  const today = new Date().toDateString();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const time = new Date(element.dateTime);
    const isToday = time.toDateString() === today && !("long" in element.dataset);
    element.textContent = isToday
      ? time.toLocaleTimeString()
      : time.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
    element.title = element.dateTime;
  }
}

/* Only what changed is replaced, so that focus and selection stay. */
function renew(page) {
  for (const old of document.querySelectorAll("[data-version]")) {
    const fresh = page.getElementById(old.id);
    if (!fresh) return location.reload();
    if (fresh.dataset.version === old.dataset.version) continue;
    old.replaceWith(fresh);
    showTimes(fresh);
  }
}

async function refresh() {
  const response = await fetch(location.href);
  renew(new DOMParser().parseFromString(await response.text(), "text/html"));
}

async function keepFresh() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    /* The web server restarts: the next round asks again. */
  }
  setTimeout(keepFresh, REFRESH_MILLISECONDS);
}

showTimes(document);
if (document.querySelector("[data-version]")) setTimeout(keepFresh, REFRESH_MILLISECONDS);

const search = document.querySelector("[data-search]");
search?.addEventListener("input", () => {
  history.replaceState(null, "", `?q=${encodeURIComponent(search.q.value)}`);
  refresh();
});
