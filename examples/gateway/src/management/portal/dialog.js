// Modal dialogs, closed by Escape; closing returns the focus.

import { field, untrusted, h, newId, notice } from "./dom.js";

/**
 * Opens a form in a dialog. `submit` is called for each submission, one at a time; the dialog closes when it returns
 * true, and shows errors that it throws. Resolves when the dialog is closed, with true after a successful submission. A
 * dialog of a page is closed with the page.
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
      if (await submit({ showError })) {
        isDone = true;
        dialog.close();
      }
    } catch (error) {
      showError(notice("error", h("p", {}, untrusted(error.message))));
    } finally {
      isBusy = false;
      button.removeAttribute("aria-disabled");
    }
  };
  /** Shows an error; with `isFinal` the form cannot be submitted again. */
  const showError = (element, isFinal = false) => {
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
  // A pending submission cannot be cancelled.
  dialog.addEventListener("cancel", (event) => isBusy && event.preventDefault());
  document.body.append(dialog);
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      // Clears the input, such as passwords.
      form.reset();
      dialog.remove();
      resolve(isDone);
    });
  });
  dialog.showModal();
  return closed;
}

/** Prompts for the token until `tryToken` accepts it; false if the dialog is cancelled. */
export function promptForToken(tryToken) {
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const token = field("Token", input, "The contents of the token_file in gateway.toml.");
  return openForm({
    title: "Enter the token",
    content: [
      h("p", {}, "The gateway requires its management token. This page keeps it in memory until you close or reload it."),
      token.element,
    ],
    action: "Continue",
    isOfPage: false,
    async submit() {
      token.clearError();
      if (!input.value.trim()) {
        token.showError("The token is missing.");
        return false;
      }
      if (await tryToken(input.value.trim())) return true;
      input.value = "";
      token.showError("The token is invalid.");
      return false;
    },
  });
}

/** Closes the dialogs of the current page. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog.of-page")) dialog.close();
}
