// Makes Unfold's pages usable by keyboard and by screen reader: Unfold draws icons as words and buttons as plain boxes.
"use strict";

(() => {
  const ICONS = ".material-symbols-outlined";
  const CLICKABLE = "span, div, h2, a:not([href])";
  // The names of boxes that show nothing but an icon.
  const NAMES = {
    dock_to_right: "Menu",
    close: "Close",
    add: "Add",
    more_horiz: "More",
    more_vert: "More",
    filter_list: "Filters",
    light_mode: "Theme",
    dark_mode: "Theme",
    computer: "Theme",
    arrow_back: "Back",
    visibility: "Show",
    chevron_right: "Open",
    mark_email_read: "Overview",
    search: "Search",
    manage_search: "Search",
    delete: "Delete",
    edit: "Change",
    keyboard_arrow_down: "More",
  };

  const words = (box) => {
    const copy = box.cloneNode(true);
    for (const icon of copy.querySelectorAll(ICONS)) icon.remove();
    return copy.matches(ICONS) ? "" : copy.textContent.trim();
  };

  const name = (box) => {
    if (words(box) || box.getAttribute("aria-label") || box.title) return;
    const icon = box.matches(ICONS) ? box : box.querySelector(ICONS);
    const label = NAMES[icon?.textContent.trim()];
    if (label) box.setAttribute("aria-label", label);
  };

  const press = (event) => {
    if (event.target !== event.currentTarget || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    event.currentTarget.click();
  };

  const isClickable = (box) => box.matches(CLICKABLE) && box.hasAttribute("x-on:click") && !box.querySelector("a[href], button, input");

  // A field in a row of a table has no label, its column has a heading.
  const heading = (field) => {
    const cell = field.closest("td");
    if (field.labels?.length || field.getAttribute("aria-label") || field.type === "hidden" || !cell) return;
    const text = field.closest("table").querySelector("thead")?.rows[0].cells[cell.cellIndex]?.textContent.trim();
    if (text) field.setAttribute("aria-label", text);
  };

  // Select2 names its box by the value that is chosen, and so not at all while there is none.
  const combobox = (box) => {
    const select = box.closest(".select2")?.previousElementSibling;
    const label = select?.labels?.[0];
    const shown = box.querySelector(".select2-selection__rendered");
    const name = label?.textContent.trim() || select?.getAttribute("aria-label");
    if (!name || !shown) return;
    box.setAttribute("aria-label", name);
    box.removeAttribute("aria-labelledby");
    shown.setAttribute("aria-label", name);
  };

  const improve = (root) => {
    const all = (selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
    for (const bar of all("#nav-sidebar-inner")) bar.setAttribute("aria-label", "Console");
    for (const hint of all(".help-tooltip[aria-label]")) hint.role = "img";
    for (const place of all("[data-simplebar]")) place.dataset.simplebarAriaLabel = place.closest("nav") ? "All pages" : "Table";
    all("td input, td select, td textarea").forEach(heading);
    all(".select2-selection[role=combobox]").forEach(combobox);
    for (const box of all(CLICKABLE).filter(isClickable)) {
      if (box.role) continue;
      name(box);
      box.role = "button";
      box.tabIndex = 0;
      box.addEventListener("keydown", press);
    }
    for (const control of all("button, a[href]")) name(control);
    for (const icon of all(ICONS)) if (icon.role !== "button") icon.setAttribute("aria-hidden", "true");
  };

  document.addEventListener("DOMContentLoaded", () => {
    improve(document.body);
    new MutationObserver((changes) => {
      for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) improve(node);
    }).observe(document.body, { childList: true, subtree: true });
  });
})();
