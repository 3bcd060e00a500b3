// Shows a chart's values at the time under the pointer, or under the arrow keys. Without it the summary and the axes remain.
"use strict";

(() => {
  // By the reader's id, so that the cursor outlives a renewal of the chart.
  const chosen = new Map();

  const show = (reader) => {
    const points = JSON.parse(reader.dataset.points);
    const labels = JSON.parse(reader.dataset.labels);
    const step = Math.min(Math.max(chosen.get(reader.id) ?? points.length - 1, 0), points.length - 1);
    const [time, ...values] = points[step];
    const area = reader.closest("[data-chart]");
    const marks = [...(area.parentElement.querySelectorAll(".chart-marks li") ?? [])].filter((mark) => Number(mark.dataset.step) === step);
    const lines = [...labels.map((label, number) => `${label}: ${values[number]}`), ...marks.map((mark) => mark.textContent.trim())];
    const share = (100 * step) / Math.max(1, points.length - 1);

    const cursor = area.querySelector(".chart-cursor");
    cursor.setAttribute("x1", `${share}%`);
    cursor.setAttribute("x2", `${share}%`);
    cursor.setAttribute("visibility", "visible");
    const tip = area.querySelector(".chart-tip");
    tip.textContent = [time, ...lines].join("\n");
    tip.hidden = false;
    const left = reader.offsetLeft + (reader.offsetWidth * share) / 100;
    // Beside the cursor, on the side where there is room.
    tip.style.left = `${share < 50 ? left + 8 : Math.max(0, left - tip.offsetWidth - 8)}px`;
    reader.setAttribute("aria-valuenow", step + 1);
    reader.setAttribute("aria-valuetext", `${time}: ${lines.join(", ")}`);
  };

  const hide = (reader) => {
    chosen.delete(reader.id);
    const area = reader.closest("[data-chart]");
    area.querySelector(".chart-tip").hidden = true;
    area.querySelector(".chart-cursor").setAttribute("visibility", "hidden");
  };

  const reader = (event) => event.target.closest?.(".chart-reader");

  const point = (event) => {
    const found = reader(event);
    if (!found) return;
    const box = found.getBoundingClientRect();
    const last = Number(found.getAttribute("aria-valuemax")) - 1;
    chosen.set(found.id, Math.round(((event.clientX - box.left) / box.width) * last));
    show(found);
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("pointerout", (event) => {
    const found = reader(event);
    if (found && found !== document.activeElement) hide(found);
  });
  document.addEventListener("focusin", (event) => reader(event) && show(reader(event)));
  document.addEventListener("focusout", (event) => reader(event) && hide(reader(event)));
  document.addEventListener("keydown", (event) => {
    const found = reader(event);
    if (!found) return;
    const last = Number(found.getAttribute("aria-valuemax")) - 1;
    const now = chosen.get(found.id) ?? last;
    const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, PageUp: now + 10, PageDown: now - 10, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    chosen.set(found.id, Math.min(Math.max(to, 0), last));
    show(found);
  });
  // The page has renewed itself.
  document.addEventListener("live", () => {
    for (const id of chosen.keys()) {
      const found = document.getElementById(id);
      if (found) show(found);
    }
  });
})();
