// Remembers which groups of the sidebar are folded. The group of this page is always open.
"use strict";

(() => {
  const KEY = "sidebarFolds";
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) || {};
    } catch {
      return {};
    }
  };

  const folds = read();
  for (const group of document.querySelectorAll("details[data-fold]")) {
    const name = group.dataset.fold;
    if (name in folds) group.open = !folds[name];
    if (group.querySelector(".active")) group.open = true;
    group.querySelector("summary").addEventListener("click", () => {
      // The group is as it was before the click.
      localStorage.setItem(KEY, JSON.stringify({ ...read(), [name]: group.open }));
    });
  }
})();
