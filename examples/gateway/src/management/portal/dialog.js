// Dialogs: modal, closed by Escape, focus goes back to where it came from.

import { field, foreign, h, newId, notice } from "./dom.js";

/**
 * Opens a form in a dialog. `submit` is called when it is sent, one call at a time, and closes it by answering true;
 * what it throws is shown. Answers, when the dialog is closed, whether it was by that. A dialog of a page goes with it.
 */
export function openForm({ title, content, action, isDangerous = false, isOfPage = true, cancel = "Cancel", submit }) {
  const titleId = newId();
  const problem = h("div", { class: "dialog-problem" });
  const button = action && h("button", { class: isDangerous ? "dangerous" : "primary" }, action);
  const close = h("button", { type: "button", click: () => isBusy || dialog.close() }, cancel);
  let isBusy = false;
  let isDone = false;
  const send = async (event) => {
    event.preventDefault();
    if (isBusy || !submit) return;
    isBusy = true;
    button.setAttribute("aria-disabled", "true");
    problem.replaceChildren();
    try {
      if (await submit({ refuse })) {
        isDone = true;
        dialog.close();
      }
    } catch (error) {
      refuse(notice("error", h("p", {}, foreign(error.message))));
    } finally {
      isBusy = false;
      button.removeAttribute("aria-disabled");
    }
  };
  /** Shows what is wrong; with `isFinal` there is nothing more to try. */
  const refuse = (element, isFinal = false) => {
    problem.replaceChildren(element);
    if (isFinal) {
      button.remove();
      close.textContent = "Close";
      close.focus();
    }
  };
  const form = h(
    "form",
    { novalidate: true, autocomplete: "off", submit: send },
    h("h2", { id: titleId }, title),
    content,
    problem,
    h("div", { class: "actions" }, close, button),
  );
  const dialog = h("dialog", { "aria-labelledby": titleId, class: isOfPage ? "of-page" : null }, form);
  // What is on its way is waited for: it may be too late to stop it.
  dialog.addEventListener("cancel", (event) => isBusy && event.preventDefault());
  document.body.append(dialog);
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      // Whatever was typed goes with it.
      form.reset();
      dialog.remove();
      resolve(isDone);
    });
  });
  dialog.showModal();
  return closed;
}

/** Asks for the token until `tryToken` takes it; false if whoever is asked closes the dialog. */
export function askForToken(tryToken) {
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const token = field("Token", input, "The contents of the file that token_file in gateway.toml names.");
  return openForm({
    title: "Enter the token",
    content: [
      h("p", {}, "The gateway asks for its management token. This page keeps it until you close or reload it, and nowhere else."),
      token.element,
    ],
    action: "Continue",
    isOfPage: false,
    async submit() {
      token.accept();
      if (!input.value.trim()) {
        token.refuse("The token is missing.");
        return false;
      }
      if (await tryToken(input.value.trim())) return true;
      input.value = "";
      token.refuse("This is not the gateway's token.");
      return false;
    },
  });
}

/** Closes the dialogs of the page that is left. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog.of-page")) dialog.close();
}
