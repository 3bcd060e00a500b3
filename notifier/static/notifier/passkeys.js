// Lets the browser use or make a passkey, puts the answer into the form's hidden field, and sends the form.
"use strict";

(() => {
  const can = window.PublicKeyCredential?.parseRequestOptionsFromJSON && navigator.credentials;

  const challenge = async (box, form) => {
    const body = new FormData();
    body.set("csrfmiddlewaretoken", form.querySelector("[name=csrfmiddlewaretoken]").value);
    body.set("for", box.dataset.passkey);
    const answer = await fetch(box.dataset.challenge, { method: "POST", body });
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.json();
  };

  const ask = async (box, form) => {
    const options = await challenge(box, form);
    return box.dataset.passkey === "new"
      ? navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  };

  const use = async (box) => {
    const form = box.closest("form");
    const status = box.querySelector("[role=status]");
    status.textContent = "Waiting for your passkey…";
    try {
      const credential = await ask(box, form);
      form.querySelector("input[name$=passkey]").value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch (error) {
      status.textContent = error.name === "InvalidStateError" ? "This device already has a passkey for you." : "No passkey was used. Try again, or use another way.";
    }
  };

  for (const box of document.querySelectorAll("[data-passkey]")) {
    if (!can) continue;
    box.hidden = false;
    box.querySelector("button").addEventListener("click", () => use(box));
  }
})();
