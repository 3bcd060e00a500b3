// Keeps an open page up to date: the sidebar's number, the browser's title, the overview, and the rows of lists.
// It waits while the page is hidden, paused, or in use. Without it, reload the page.
"use strict";

(() => {
  const EVERY = 5000;
  const PAUSED = "livePaused";
  const LISTS = ["queues-deadletter", "queues-outboxevent", "queues-redrive", "emails-notification"];

  const nav = document.querySelector("[data-live-changes]");
  const badge = document.querySelector("[data-waiting]");
  const place = document.querySelector("[data-live]");
  const table = document.querySelector("#changelist");
  const app = /\bapp-(\S+) model-(\S+) change-list\b/.exec(document.body.className);
  const list = table && app && LISTS.includes(`${app[1]}-${app[2]}`) ? `${app[1]}.${app[2]}` : "";
  const title = document.title.trim();
  let version;
  let timer = null;
  let isOver = false;

  // --- The line that says how fresh the page is, and stops it.

  const status = document.createElement("p");
  const time = document.createElement("span");
  const button = document.createElement("button");
  const said = document.createElement("b");
  status.className = "live-status";
  button.type = "button";
  button.id = "live-pause";
  said.setAttribute("role", "status");
  if (place) place.before(status);
  else if (list) table.before(status);
  else document.body.append(status);
  if (place || list) status.append(time, button, said);
  else {
    // Other pages show nothing, but a screen reader hears of new dead letters there too.
    status.className = "fact-hidden";
    status.append(said);
  }

  const isPaused = () => localStorage.getItem(PAUSED) === "1";
  const say = (text, isProblem = false) => {
    said.classList.toggle("live-problem", isProblem);
    // A screen reader announces each change, so set the text only once.
    if (said.textContent !== text) said.textContent = text;
  };
  const label = () => {
    button.textContent = isPaused() ? "Resume" : "Pause";
    button.setAttribute("aria-label", `${button.textContent} live updates`);
    if (isPaused()) time.textContent = "Paused: this page is as it was.";
  };
  button.addEventListener("click", () => {
    localStorage.setItem(PAUSED, isPaused() ? "0" : "1");
    label();
    if (isPaused()) clearTimeout(timer);
    else ask();
  });

  // --- The number of dead letters, in the sidebar and in the browser's title.

  let waiting = badge ? Number(badge.dataset.waiting) : 0;
  const count = (number, shown) => {
    document.title = number ? `(${shown}) ${title}` : title;
    if (!badge) return;
    badge.hidden = !number;
    if (badge.querySelector("b").textContent !== shown) badge.querySelector("b").textContent = shown;
  };
  const tell = (answer) => {
    if (answer.waiting === undefined) return;
    const fresh = answer.waiting - waiting;
    waiting = answer.waiting;
    count(answer.waiting, answer.shown);
    if (fresh <= 0) return;
    say(fresh === 1 ? "1 new dead letter" : `${fresh} new dead letters`);
    if (isOfCauses) offer();
  };
  // The page of their causes is one to read and to act on, so it does not move; it offers to show what is new.
  const isOfCauses = badge?.closest("a").getAttribute("aria-current") === "page";
  const offer = () => {
    if (status.querySelector("a")) return;
    const link = document.createElement("a");
    link.className = "text-link";
    link.href = location.href;
    link.textContent = "Show them";
    status.append(link);
    status.className = "live-status";
    document.querySelector("main")?.prepend(status);
  };

  // --- Never change what somebody uses.

  const isHeld = (part) => {
    const selection = document.getSelection();
    const focused = document.activeElement;
    return (
      (!selection.isCollapsed && part.contains(selection.anchorNode)) ||
      (focused?.matches("input:not([type=checkbox]), textarea, select") && part.contains(focused)) ||
      part.querySelector(".chart-reader:hover") !== null
    );
  };

  const answerOf = async (address, accept) => {
    const response = await fetch(address, { headers: { Accept: accept } });
    if (response.redirected || response.status === 403) {
      isOver = true;
      count(0, "");
      say("Your session has ended. Reload the page to log in.", true);
      status.className = "live-status";
      if (!place && !list) document.querySelector("main")?.prepend(status);
      return null;
    }
    if (!response.ok) throw new Error(response.status);
    return response;
  };

  const renewOverview = async () => {
    if (isHeld(place)) return false;
    const response = await answerOf(place.dataset.live, "text/html");
    if (!response) return false;
    const html = await response.text();
    if (isHeld(place)) return false;
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = html;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    document.dispatchEvent(new Event("live"));
    return true;
  };

  // --- Lists: rows are known by their keys, so that ticks, focus and scroll position stay.

  let isOwed = false;
  let isStrange = false;
  const isTicked = () => table.querySelector("input.action-select:checked") !== null;
  const rows = (root) => [...root.querySelectorAll("#result_list > tbody")];
  const keyOf = (row) =>
    row.querySelector("input.action-select")?.value ?? /([^/]+)\/change\//.exec(row.querySelector("a[href*='/change/']")?.getAttribute("href") ?? "")?.[1] ?? "";
  const cells = (row) => [...row.querySelectorAll("td, th")];

  const update = (row, fresh) => {
    const old = cells(row);
    const next = cells(fresh);
    if (old.length !== next.length) return;
    old.forEach((cell, number) => {
      const isUsed = cell.contains(document.activeElement) || cell.querySelector("input.action-select");
      if (!isUsed && cell.textContent.trim() !== next[number].textContent.trim()) cell.innerHTML = next[number].innerHTML;
    });
  };

  const renewList = async () => {
    if (isHeld(table)) return false;
    const response = await answerOf(location.href, "text/html");
    if (!response) return false;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (isHeld(table)) return false;
    const shown = table.querySelector("#result_list");
    const fresh = rows(page);
    if (!shown || !fresh.length) {
      // A list that was or is empty has another layout.
      if (shown || fresh.length) location.reload();
      return true;
    }
    const known = new Map(rows(document).map((row) => [keyOf(row), row]));
    for (const row of fresh) if (known.has(keyOf(row))) update(known.get(keyOf(row)), row);
    // Whoever has ticked rows must find them where they were; new rows come when no row is ticked.
    isOwed = isTicked();
    if (isOwed) {
      const here = new Set(fresh.map(keyOf));
      const gone = [...known].filter(([key, row]) => !here.has(key) && row.querySelector("input.action-select:checked"));
      if (gone.length) say(gone.length === 1 ? "1 ticked row has left this page" : `${gone.length} ticked rows have left this page`);
      return true;
    }

    const focused = [...known.values()].find((row) => row.contains(document.activeElement));
    const place = fresh.findIndex((row) => focused && keyOf(row) === keyOf(focused));
    let added = 0;
    fresh.forEach((row, number) => {
      const old = known.get(keyOf(row));
      known.delete(keyOf(row));
      if (!old) added += 1;
      // The focused row never moves, for it would lose the focus.
      if (old && old === focused) return;
      const node = old ?? document.importNode(row, true);
      if (number < place) shown.insertBefore(node, focused);
      else shown.append(node);
    });
    for (const row of known.values()) if (row !== focused) row.remove();
    for (const part of [".trail-count", "#content + footer"]) {
      const [old, next] = [document.querySelector(part), page.querySelector(part)];
      if (old && next && !old.contains(document.activeElement)) old.innerHTML = next.innerHTML;
    }
    boxes.splice(0, boxes.length, ...table.querySelectorAll("tr input.action-select"));
    isStrange ||= added > 0;
    if (added && app[2] !== "deadletter") say(added === 1 ? "1 new row" : `${added} new rows`);
    return true;
  };

  // The script of the ticks knows the boxes that a page began with. Give it a list that follows the rows, and show it new
  // rows before somebody can tick one.
  const boxes = [];
  let introduce = () => {};
  const follow = () => {
    if (isStrange) introduce();
    isStrange = false;
  };
  if (list && window.Actions) {
    const actions = window.Actions;
    window.Actions = (found, options) => {
      boxes.push(...found);
      introduce = () => actions(boxes, options);
      introduce();
    };
    for (const event of ["pointerover", "focusin"]) table.addEventListener(event, follow);
  }

  const plan = () => {
    clearTimeout(timer);
    if (!document.hidden && !isOver && !isPaused()) timer = setTimeout(ask, EVERY);
  };

  const query = () => {
    const asked = new URLSearchParams();
    if (list) asked.append("list", list);
    if (list) for (const row of rows(document)) if (keyOf(row)) asked.append("row", keyOf(row));
    return asked;
  };

  const ask = async () => {
    clearTimeout(timer);
    try {
      const response = await answerOf(`${nav.dataset.liveChanges}?${query()}`, "application/json");
      if (!response) return;
      const answer = await response.json();
      if (said.classList.contains("live-problem")) say("");
      tell(answer);
      let isFresh = true;
      if (place) isFresh = await renewOverview();
      else if (list && version === undefined) version = answer.version;
      else if (list && (answer.version !== version || (isOwed && !isTicked()))) {
        const asked = query().toString();
        isFresh = await renewList();
        // Of other rows this is no version: they are fetched once more, or a change in between would not be seen.
        if (isFresh) version = query().toString() === asked ? answer.version : null;
      }
      if (isFresh && !isOver) time.textContent = `Live · updated ${answer.now}`;
    } catch {
      say("Connection lost. This page may be old; it keeps trying to update.", true);
    }
    plan();
  };

  if (!nav) return;
  count(waiting, badge?.querySelector("b").textContent ?? "");
  label();
  if (!isPaused()) {
    time.textContent = `Live · updated ${nav.dataset.liveNow}`;
    if (list) ask();
    else plan();
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : isOver || isPaused() || ask()));
})();
