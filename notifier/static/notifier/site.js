// Makes the public pages interactive; every page also works without this script.
"use strict";

(() => {
  const show = (element, visible) => element && (element.hidden = !visible);

  // --- Keep dismissed notes hidden

  for (const button of document.querySelectorAll("[data-dismiss]")) {
    const key = `dismissed-${button.dataset.dismiss}`;
    const note = document.getElementById(button.dataset.dismiss);
    show(button, true);
    show(note, !localStorage.getItem(key));
    button.addEventListener("click", () => {
      localStorage.setItem(key, "1");
      show(note, false);
    });
  }

  // --- Show times in the reader's time zone

  // In the language of the page, as it is written where the reader is.
  const language = document.documentElement.lang;
  const locale =
    navigator.languages.find((each) => each.split("-")[0] === language) ?? language;
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
  const calendar = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short" });
  const localise = (root) => {
    for (const time of root.querySelectorAll("time")) {
      const format = "date" in time.dataset ? calendar : clock;
      time.textContent = format.format(new Date(time.dateTime));
      time.title = time.dateTime;
    }
  };
  localise(document);

  // --- Send a form only once

  for (const button of document.querySelectorAll("[data-submit]")) {
    const label = button.textContent;
    button.form.addEventListener("submit", () => {
      button.disabled = true;
      button.textContent = button.dataset.sending;
    });
    window.addEventListener("pageshow", () => {
      button.disabled = false;
      button.textContent = label;
    });
  }

  // --- After a refused form, focus the general error, or else the first invalid field

  const general = document.querySelector(".alert .errorlist")?.closest(".alert");
  (general ?? document.querySelector("[aria-invalid=true]"))?.focus();

  // --- Quantities and their total

  const order = document.querySelector("[data-order]");
  if (order) {
    const basket = order.querySelector("[data-basket]");
    const products = [...order.querySelectorAll("[data-product]")].map((card) => ({
      card,
      input: card.querySelector("input"),
      name: card.dataset.name,
      cents: Math.round(Number(card.dataset.price) * 100),
      currency: card.dataset.currency,
    }));
    const money = (cents, currency) =>
      new Intl.NumberFormat(language, { style: "currency", currency }).format(cents / 100);
    const quantity = ({ input }) => {
      const value = Number(input.value);
      return Number.isInteger(value) && value > 0 && value < 100 ? value : 0;
    };

    const line = (product) => {
      const item = document.createElement("li");
      const name = document.createElement("span");
      const price = document.createElement("span");
      name.textContent = `${quantity(product)} × ${product.name}`;
      price.textContent = money(quantity(product) * product.cents, product.currency);
      item.append(name, price);
      return item;
    };

    const addUp = () => {
      const chosen = products.filter(quantity);
      const cents = chosen.reduce((sum, product) => sum + quantity(product) * product.cents, 0);
      for (const product of products) product.card.classList.toggle("chosen", quantity(product) > 0);
      basket.querySelector("[data-lines]").replaceChildren(...chosen.map(line));
      for (const total of order.querySelectorAll("[data-total]")) {
        total.textContent = chosen.length ? money(cents, chosen[0].currency) : "";
      }
      show(basket, true);
      show(basket.querySelector("[data-nothing]"), !chosen.length);
      show(basket.querySelector("[data-total-row]"), chosen.length);
      const count = chosen.reduce((sum, product) => sum + quantity(product), 0);
      const { one, many } = order.querySelector("[data-count]").dataset;
      order.querySelector("[data-count]").textContent = count === 1 ? one : many.replace("…", count);
      show(order.querySelector("[data-tray]"), chosen.length);
    };

    for (const product of products) {
      for (const button of product.card.querySelectorAll("[data-step]")) {
        show(button, true);
        button.addEventListener("click", () => {
          const value = quantity(product) + Number(button.dataset.step);
          product.input.value = Math.min(99, Math.max(0, value));
          addUp();
        });
      }
      product.input.addEventListener("input", addUp);
      product.input.addEventListener("focus", () => product.input.select());
    }
    window.addEventListener("pageshow", addUp);
  }

  // --- Refresh the status of the email every second, less often while nothing changes

  const FASTEST = 1000;
  const SLOWEST = 10000;

  for (const place of document.querySelectorAll("[data-live]")) {
    let wait = FASTEST;
    let shown = "";
    let timer = null;

    const isFinal = () => place.querySelector("[data-final]") !== null;
    const plan = () => {
      clearTimeout(timer);
      if (!document.hidden && !isFinal()) timer = setTimeout(ask, wait);
    };
    const ask = async () => {
      wait = Math.min(wait * 1.15, SLOWEST);
      try {
        const response = await fetch(place.dataset.live, { headers: { Accept: "text/html" } });
        // The session has ended or the order is gone, so asking again is useless.
        if (response.status === 404) return;
        const html = await response.text();
        if (response.ok && html !== shown) {
          if (shown) wait = FASTEST;
          shown = html;
          place.innerHTML = html;
          localise(place);
        }
      } catch {
        // The network may be down for a moment; the next request may succeed.
      }
      plan();
    };

    document.addEventListener("visibilitychange", () => {
      wait = FASTEST;
      plan();
    });
    plan();
  }
})();
