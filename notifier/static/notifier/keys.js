// Shortcuts of the console: a key for the search box, a palette of pages, keys to walk through lists. Every page also works without them.
"use strict";

(() => {
  const OFF = "single-keys-off";
  const RECENT = "recent-pages";
  const MOST_RECENT = 6;
  const palette = document.getElementById("palette");
  const help = document.getElementById("keys");
  if (!palette) return;

  // --- What a page is called, without the icons that Unfold writes as words

  const words = (element) => {
    const copy = element.cloneNode(true);
    for (const icon of copy.querySelectorAll(".material-symbols-outlined")) icon.remove();
    return copy.textContent.replace(/\s+/g, " ").trim();
  };

  // --- The pages that this person visited in this tab; the browser forgets them with the tab, as their titles may name people

  const here = location.pathname;
  const remembered = () => {
    const kept = JSON.parse(sessionStorage.getItem(RECENT) ?? "{}");
    return kept.user === palette.dataset.user ? kept.pages : [];
  };
  const recent = remembered().filter(({ url }) => url !== here);
  const title = document.querySelector("main h1, header h1");
  const name = title ? words(title) : "";
  const pages = name ? [{ name, url: here }, ...recent].slice(0, MOST_RECENT + 1) : recent;
  sessionStorage.setItem(RECENT, JSON.stringify({ user: palette.dataset.user, pages }));

  // --- The palette

  const text = document.getElementById("palette-text");
  const list = document.getElementById("palette-list");
  const count = palette.querySelector("[data-palette-count]");
  let chosen = 0;

  const menu = () =>
    [...document.querySelectorAll(".nav-items a[href]")].map((link) => ({
      name: link.querySelector("span:not(.material-symbols-outlined)").textContent.trim(),
      kind: link.closest("ol").previousElementSibling?.matches("h2") ? words(link.closest("ol").previousElementSibling) : "",
      url: link.getAttribute("href"),
    }));

  const offers = (typed) => {
    const wanted = typed.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = ({ name, kind }) => wanted.every((word) => `${name} ${kind}`.toLowerCase().includes(word));
    const visited = recent.map((page) => ({ ...page, kind: "Recent" }));
    const found = [...visited, ...menu()].filter(fits);
    const search = palette.dataset.search;
    if (typed && search) found.push({ name: `Search for “${typed}”`, kind: "", url: `${search}?q=${encodeURIComponent(typed)}` });
    return found;
  };

  const choose = (index) => {
    const options = [...list.children];
    chosen = options.length ? (index + options.length) % options.length : 0;
    options.forEach((option, place) => option.setAttribute("aria-selected", place === chosen));
    if (options.length) text.setAttribute("aria-activedescendant", options[chosen].id);
    else text.removeAttribute("aria-activedescendant");
    options[chosen]?.scrollIntoView({ block: "nearest" });
  };

  const option = ({ name, kind, url }, index) => {
    const item = document.createElement("li");
    const small = document.createElement("small");
    item.id = `palette-option-${index}`;
    item.role = "option";
    item.dataset.url = url;
    small.textContent = kind;
    item.append(name, " ", small);
    return item;
  };

  const offer = () => {
    const found = offers(text.value.trim());
    list.replaceChildren(...found.map(option));
    count.textContent = found.length === 1 ? "1 result" : `${found.length} results`;
    choose(0);
  };

  const go = (item) => item && location.assign(item.dataset.url);

  const openPalette = () => {
    help.close();
    text.value = "";
    offer();
    if (!palette.open) palette.showModal();
    text.focus();
  };

  text.addEventListener("input", offer);
  text.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) choose(chosen + steps[event.key]);
    else if (event.key === "Enter" && !event.isComposing) go(list.children[chosen]);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => go(event.target.closest("[role=option]")));
  list.addEventListener("mousemove", (event) => {
    const index = [...list.children].indexOf(event.target.closest("[role=option]"));
    if (index >= 0 && index !== chosen) choose(index);
  });
  // A click beside a dialog falls on the dialog itself.
  for (const dialog of [palette, help]) dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  // --- The list of keys, and the switch that turns single keys off (WCAG 2.1.4)

  const isOn = () => localStorage.getItem(OFF) === null;
  const setting = document.getElementById("keys-on");
  setting.addEventListener("change", () => (setting.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));

  const openHelp = () => {
    palette.close();
    setting.checked = isOn();
    if (!help.open) help.showModal();
  };
  for (const button of document.querySelectorAll("[data-keys-open]")) {
    button.hidden = false;
    button.addEventListener("click", openHelp);
  }

  // --- Rows

  const rows = () => [...document.querySelectorAll("#result_list tr.data-row, main .fact-table tbody tr")].filter((row) => row.offsetParent);
  const current = () => rows().find((row) => row.contains(document.activeElement));

  const walk = (step) => {
    const all = rows();
    const row = all[all.indexOf(current()) + step] ?? (current() ? null : all[0]);
    if (!row) return;
    row.tabIndex = -1;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  };
  const open = () => current()?.querySelector("th a[href], td a[href]")?.click();
  const select = () => current()?.querySelector("input.action-select")?.click();

  // --- All keys

  const focusSearch = () => {
    const box = document.querySelector("[data-search-box]");
    if (box?.offsetParent) box.select(), box.focus();
    else if (palette.dataset.search) location.assign(palette.dataset.search);
  };
  const focusList = () => document.getElementById("searchbar")?.select();

  const KEYS = {
    "/": focusSearch,
    "?": openHelp,
    f: focusList,
    j: () => walk(1),
    k: () => walk(-1),
    o: open,
    x: select,
  };

  const isTyping = (target) =>
    target.isContentEditable || target.matches?.("textarea, select, [role=combobox], [role=textbox], [role=listbox]") ||
    (target.matches?.("input") && !target.matches("[type=checkbox], [type=radio], [type=button], [type=submit]"));

  const escape = (event) => {
    if (event.target.matches?.("[data-search-box], #searchbar, tr")) event.target.blur();
  };

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.key === "Escape") return escape(event);
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || palette.open || help.open) return;
    if (isTyping(event.target) || !isOn()) return;
    if (event.key === "Enter" && event.target.matches?.("tr")) return open();
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
})();
