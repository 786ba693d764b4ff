// A policy document as text.

import { ask, askFor, messagesOf, path } from "./api.js";
import { openForm } from "./dialog.js";
import { field, foreign, h, notice, say } from "./dom.js";
import { EMPTY } from "./policy-text.js";

// Texts that were changed and not saved, by resource, with the ETag of what they were made from.
const drafts = new Map();

window.addEventListener("beforeunload", (event) => {
  if (drafts.size > 0) event.preventDefault();
});

/** Where a message says that something is wrong: line and column, from 1; null if it does not say. */
export function place(message) {
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
 * Shows the document of this resource in a place, to be changed. `item`: what messages call it; `without`: what holds
 * when there is none; `changed` is called when it has been changed.
 */
export async function showPolicy(view, element, resource, about) {
  const { item, without, changed = async () => {} } = about;
  const found = await askFor(resource, { format: "rawxml" });
  const kept = drafts.get(resource);
  let etag = kept ? kept.etag : found?.etag;
  let saved = found?.body.properties.value ?? "";
  const input = h("textarea", { class: "code", rows: "20", spellcheck: "false", autocomplete: "off", autocapitalize: "off", wrap: "off" });
  const policy = field("Policy document (XML)", input, "As in Azure API Management, expressions as they stand. The gateway refuses what it would not enforce.");
  const problems = h("div");
  input.value = kept?.text ?? (saved || EMPTY);
  input.addEventListener("input", () => {
    if (input.value === saved) drafts.delete(resource);
    else drafts.set(resource, { text: input.value, etag });
  });
  const reload = async () => {
    drafts.delete(resource);
    await showPolicy(view, element, resource, about);
    say("This is the policy as it stands now.");
  };
  const reloadButton = (label) => h("button", { type: "button", click: () => view.trying(reload) }, label);

  const warn = (properties) => {
    const warnings = properties?.warnings ?? [];
    const lines = warnings.map((warning) => h("li", {}, foreign(warning), " ", button(warning)));
    doubts.replaceChildren(warnings.length > 0 ? notice("warning", h("p", {}, "The gateway has doubts about this document:"), h("ul", {}, lines)) : "");
  };
  /** Leads to the place that a message names, if it does. */
  const button = (message) => {
    // The lines of other documents are not here.
    const where = /^the (API|policy) /i.test(message) ? null : place(message);
    return where && h("button", { type: "button", class: "small", click: () => goTo(input, where) }, `Go to line ${where.line}`);
  };
  const refuse = (problem) => {
    if (problem.status === 412) {
      problems.replaceChildren(
        notice("error", h("p", {}, "Somebody else changed this policy meanwhile. Nothing was saved. Copy what you want to keep, then:"), reloadButton("Show the policy as it stands now")),
      );
      return;
    }
    // They are about what is stored, not about this.
    doubts.replaceChildren();
    const lines = messagesOf(problem, item).map((message) => h("li", {}, foreign(message), " ", button(message) ?? ""));
    policy.input.setAttribute("aria-invalid", "true");
    problems.replaceChildren(notice("error", h("p", {}, "The gateway refused this document. Nothing was saved."), h("ul", {}, lines)));
  };
  const remove = async () => {
    const isRemoved = await openForm({
      title: "Remove the policy?",
      content: h("p", {}, without),
      action: "Yes, remove it",
      cancel: "No, keep it",
      isDangerous: true,
      async submit({ refuse: refuseFinally }) {
        try {
          await ask("DELETE", resource, { etag });
          return true;
        } catch (problem) {
          if (problem.status !== 412) throw problem;
          refuseFinally(notice("error", h("p", {}, "Somebody else changed this policy meanwhile. Close this and look again.")), true);
          return false;
        }
      },
    });
    if (!isRemoved) return;
    drafts.delete(resource);
    await showPolicy(view, element, resource, about);
    await changed();
    say("The policy was removed.");
  };
  const removal = h("button", { type: "button", class: "dangerous-quiet", hidden: !found, click: () => view.trying(remove) }, "Remove policy");
  let isBusy = false;
  const save = async () => {
    if (isBusy) return;
    problems.replaceChildren();
    policy.accept();
    if (!input.value.trim()) {
      // To save nothing is to have none.
      if (removal.hidden) policy.refuse("The document is empty.");
      else await remove();
      return;
    }
    isBusy = true;
    try {
      const text = input.value;
      const body = { properties: { format: "rawxml", value: text } };
      const answer = await ask("PUT", resource, { body, etag });
      etag = answer.etag ?? (await askFor(resource, { format: "rawxml" }))?.etag;
      saved = text;
      if (input.value === text) drafts.delete(resource);
      intro.replaceChildren();
      removal.hidden = false;
      warn(answer.body?.properties);
      await changed();
      say("The policy is saved. It decides about every request from now on.");
    } catch (problem) {
      if (![400, 412].includes(problem.status)) throw problem;
      refuse(problem);
      problems.scrollIntoView({ block: "nearest" });
    } finally {
      isBusy = false;
    }
  };
  const [intro, doubts] = [h("div"), h("div")];
  if (kept) {
    intro.append(notice("note", h("p", {}, "This is what you had not saved yet."), reloadButton("Show the policy as it stands now")));
  } else if (!found) {
    intro.append(h("p", { class: "lead" }, "There is no policy document yet. This one changes nothing; save it with what you add."));
  }
  if (found && !kept) warn(found.body.properties);
  element.replaceChildren(
    intro,
    doubts,
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
    h("p", { class: "lead" }, "What this document says takes the place of <base /> in the policies of the APIs that are made here. Routes of gateway.toml keep their own."),
    element,
  );
  // A gateway without a store has no policy either, but none can be made there: this says so.
  await ask("GET", path("apis"), { query: { $top: "1" } });
  await showPolicy(view, element, path("policies", "policy"), {
    item: "the policy of all APIs",
    without: "What it demands of callers will not be demanded any more: <base /> in the policies of APIs will stand for nothing.",
  });
}
