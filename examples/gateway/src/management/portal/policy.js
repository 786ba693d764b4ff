// The editor for policy documents.

import { callApi, getOrNull, messagesOf, path } from "./api.js";
import { openForm } from "./dialog.js";
import { field, untrusted, h, notice, announce } from "./dom.js";
import { EMPTY } from "./policy-text.js";

// Unsaved texts by resource, with the ETag of the version that they are based on.
const drafts = new Map();

window.addEventListener("beforeunload", (event) => {
  if (drafts.size > 0) event.preventDefault();
});

/** Returns the position in a message: line and column, from 1; null if there is none. */
export function position(message) {
  const found = /\bline (\d+)(?:, (?:column|position) (\d+))?/i.exec(message) ?? /^(\d+):(\d+): /.exec(message);
  return found && { line: Number(found[1]), column: Number(found[2] ?? 1) };
}

function goTo(input, { line, column }) {
  const lines = input.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  const at = Math.min(start + column - 1, input.value.length);
  const height = Number.parseFloat(getComputedStyle(input).lineHeight);
  input.focus();
  input.setSelectionRange(at, Math.min(start + (lines[line - 1]?.length ?? 0), input.value.length));
  input.scrollTop = Math.max(0, (line - 4) * height);
}

/**
 * Shows the editor for the document of this resource. `item`: its name in messages; `without`: the effect of removing it;
 * `changed`: called after a change.
 */
export async function showPolicy(view, element, resource, about) {
  const { item, without, changed = async () => {} } = about;
  const found = await getOrNull(resource, { format: "rawxml" });
  const kept = drafts.get(resource);
  let etag = kept ? kept.etag : found?.etag;
  let saved = found?.body.properties.value ?? "";
  const input = h("textarea", { class: "code", rows: "20", spellcheck: "false", autocomplete: "off", autocapitalize: "off", wrap: "off" });
  const policy = field("Policy document (XML)", input, "As in Azure API Management, with unescaped expressions. Unsupported elements are rejected.");
  const problems = h("div");
  input.value = kept?.text ?? (saved || EMPTY);
  input.addEventListener("input", () => {
    if (input.value === saved) drafts.delete(resource);
    else drafts.set(resource, { text: input.value, etag });
  });
  const reload = async () => {
    drafts.delete(resource);
    await showPolicy(view, element, resource, about);
    announce("The current policy is shown.");
  };
  const reloadButton = (label) => h("button", { type: "button", click: () => view.trying(reload) }, label);

  const warn = (properties) => {
    const warnings = properties?.warnings ?? [];
    const lines = warnings.map((warning) => h("li", {}, untrusted(warning), " ", button(warning)));
    warningBox.replaceChildren(warnings.length > 0 ? notice("warning", h("p", {}, "Warnings about this document:"), h("ul", {}, lines)) : "");
  };
  /** Creates a button that goes to the position in a message, if there is one. */
  const button = (message) => {
    // Positions in other documents cannot be shown.
    const where = /^the (API|policy|global policy) /i.test(message) ? null : position(message);
    return where && h("button", { type: "button", class: "small", click: () => goTo(input, where) }, `Go to line ${where.line}`);
  };
  const showError = (problem) => {
    if (problem.status === 412) {
      problems.replaceChildren(
        notice("error", h("p", {}, "This policy was changed by someone else. Nothing was saved. Copy your changes before you load the current policy."), reloadButton("Show current policy")),
      );
      return;
    }
    // The warnings refer to the stored version.
    warningBox.replaceChildren();
    const lines = messagesOf(problem, item).map((message) => h("li", {}, untrusted(message), " ", button(message) ?? ""));
    policy.input.setAttribute("aria-invalid", "true");
    problems.replaceChildren(notice("error", h("p", {}, "The policy was rejected. Nothing was saved."), h("ul", {}, lines)));
  };
  const remove = async () => {
    const isRemoved = await openForm({
      title: "Remove the policy?",
      content: h("p", {}, without),
      action: "Yes, remove it",
      cancel: "No, keep it",
      isDangerous: true,
      async submit({ showError: showFinalError }) {
        try {
          await callApi("DELETE", resource, { etag });
          return true;
        } catch (problem) {
          if (problem.status !== 412) throw problem;
          showFinalError(notice("error", h("p", {}, "This policy was changed by someone else. Close this dialog and try again.")), true);
          return false;
        }
      },
    });
    if (!isRemoved) return;
    drafts.delete(resource);
    await showPolicy(view, element, resource, about);
    await changed();
    announce("The policy was removed.");
  };
  const removal = h("button", { type: "button", class: "dangerous-quiet", hidden: !found, click: () => view.trying(remove) }, "Remove policy");
  let isBusy = false;
  const save = async () => {
    if (isBusy) return;
    problems.replaceChildren();
    policy.clearError();
    if (!input.value.trim()) {
      // Saving an empty document removes the policy.
      if (removal.hidden) policy.showError("The document is empty.");
      else await remove();
      return;
    }
    isBusy = true;
    try {
      const text = input.value;
      const body = { properties: { format: "rawxml", value: text } };
      const answer = await callApi("PUT", resource, { body, etag });
      etag = answer.etag ?? (await getOrNull(resource, { format: "rawxml" }))?.etag;
      saved = text;
      if (input.value === text) drafts.delete(resource);
      intro.replaceChildren();
      removal.hidden = false;
      warn(answer.body?.properties);
      await changed();
      announce("The policy was saved and is in effect for new requests.");
    } catch (problem) {
      if (![400, 412].includes(problem.status)) throw problem;
      showError(problem);
      problems.scrollIntoView({ block: "nearest" });
    } finally {
      isBusy = false;
    }
  };
  const [intro, warningBox] = [h("div"), h("div")];
  if (kept) {
    intro.append(notice("note", h("p", {}, "These are your unsaved changes."), reloadButton("Show current policy")));
  } else if (!found) {
    intro.append(h("p", { class: "lead" }, "There is no policy yet. This template has no effect; add elements to it and save it."));
  }
  if (found && !kept) warn(found.body.properties);
  element.replaceChildren(
    intro,
    warningBox,
    h(
      "form",
      { class: "sheet", submit: (event) => { event.preventDefault(); view.trying(save); } },
      problems,
      policy.element,
      h("div", { class: "actions" }, h("button", { class: "primary" }, "Save"), removal),
    ),
  );
}

export async function showServicePolicy(view) {
  const element = h("div");
  view.show(
    view.heading,
    h("p", { class: "lead" }, "This policy replaces <base /> in the policies of the APIs in the store. It does not apply to routes of gateway.toml."),
    element,
  );
  // Fails if the gateway has no store.
  await callApi("GET", path("apis"), { query: { $top: "1" } });
  await showPolicy(view, element, path("policies", "policy"), {
    item: "the global policy",
    without: "Its requirements will no longer apply: <base /> in the policies of APIs will have no effect.",
  });
}
