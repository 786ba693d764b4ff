// Elements and text. Text is never converted to markup.

/**
 * Creates an element. Attributes: functions are event listeners ("click"), true is an empty attribute, false and null
 * are omitted. Children: nodes and texts, also in nested arrays; null and false are omitted.
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Control, zero-width, directional and line-breaking characters.
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const code = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** Replaces invisible characters of untrusted text by their code points. */
export const visible = (text) => String(text ?? "").replace(INVISIBLE, (character) => `[${code(character)}]`);

/** Returns untrusted text as an element with isolated direction and marked invisible characters. */
export function untrusted(text, attributes = {}) {
  const whole = String(text ?? "");
  const parts = [];
  let end = 0;
  for (const match of whole.matchAll(INVISIBLE)) {
    parts.push(whole.slice(end, match.index), h("span", { class: "invisible" }, code(match[0])));
    end = match.index + match[0].length;
  }
  return h("bdi", attributes, parts, whole.slice(end));
}

/** Capitalizes a message that begins with a word; names of fields and elements are not changed. */
export const sentence = (text) => (/^[a-z]+[ ,.]/.test(text) ? text[0].toUpperCase() + text.slice(1) : text);

let ids = 0;
/** Returns a new element id. */
export const newId = () => `e${++ids}`;

/** Creates a table; on a narrow screen each row is shown as a card, with the headings beside the cells. */
export function table(caption, headings, rows) {
  // Explicit roles, which the card layout would otherwise remove.
  const cell = (content, index) => {
    const [name, attributes] = index === 0 ? ["th", { role: "rowheader", scope: "row" }] : ["td", { role: "cell" }];
    return h(name, { ...attributes, "data-label": headings[index] }, h("div", {}, content));
  };
  return h(
    "table",
    { role: "table" },
    h("caption", { class: "visually-hidden" }, caption),
    h(
      "thead",
      { role: "rowgroup" },
      h("tr", { role: "row" }, headings.map((heading) => h("th", { role: "columnheader", scope: "col" }, heading))),
    ),
    h("tbody", { role: "rowgroup" }, rows.map((cells) => h("tr", { role: "row" }, cells.map(cell)))),
  );
}

/** Creates a labelled input with a hint and an error message. */
export function field(label, input, hint) {
  const [id, hintId, problemId] = [newId(), newId(), newId()];
  input.id = id;
  input.setAttribute("aria-describedby", hint ? `${hintId} ${problemId}` : problemId);
  const problem = h("p", { class: "field-problem", id: problemId });
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    hint && h("p", { class: "hint", id: hintId }, hint),
    input,
    problem,
  );
  return {
    element,
    input,
    /** Shows an error message and focuses the input. */
    showError(message) {
      problem.replaceChildren(untrusted(sentence(message)));
      input.setAttribute("aria-invalid", "true");
      input.focus();
    },
    clearError() {
      problem.replaceChildren();
      input.removeAttribute("aria-invalid");
    },
  };
}

/** Creates a group of radio buttons. `choices`: value, label, hint. */
export function radios(legend, choices, chosen) {
  const name = newId();
  const boxes = choices.map(([value, label, hint]) => {
    const [id, hintId] = [newId(), newId()];
    const input = h("input", { type: "radio", name, id, value, "aria-describedby": hint ? hintId : null });
    input.checked = value === chosen;
    return {
      input,
      element: h(
        "div",
        { class: "choice" },
        input,
        h("div", {}, h("label", { for: id }, label), hint && h("p", { class: "hint", id: hintId }, hint)),
      ),
    };
  });
  return {
    element: h("fieldset", {}, h("legend", {}, legend), boxes.map((box) => box.element)),
    inputs: boxes.map((box) => box.input),
    value: () => boxes.find((box) => box.input.checked)?.input.value,
  };
}

/** Creates a message box. Kinds: error, warning, note. */
export const notice = (kind, ...children) =>
  h("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : null }, children);

let next = "";
/** Announces a message when the next page is shown. */
export function announceOnNextPage(message) {
  next = message;
}

/** Announces the pending message, if any. */
export function announcePending() {
  if (next) announce(next);
  next = "";
}

/** Shows a status message, which screen readers announce. */
export function announce(message) {
  const status = document.getElementById("status");
  status.replaceChildren(message ? untrusted(message) : "");
}
