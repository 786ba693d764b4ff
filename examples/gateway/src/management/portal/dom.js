// Elements and text. Nothing here, or anywhere else on this page, makes markup of a text.

/**
 * An element. Attributes: functions are listeners ("click"), true is an empty attribute, false and null are none.
 * Children: nodes and texts, nested as they come; null and false are none.
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

// Control characters, and those that have no width, or turn or break a line.
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const code = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** A text that others wrote, where only text may stand: what cannot be seen is named. */
export const visible = (text) => String(text ?? "").replace(INVISIBLE, (character) => `[${code(character)}]`);

/** The same as an element that turns no text around it, with what cannot be seen marked. */
export function foreign(text, attributes = {}) {
  const whole = String(text ?? "");
  const parts = [];
  let end = 0;
  for (const match of whole.matchAll(INVISIBLE)) {
    parts.push(whole.slice(end, match.index), h("span", { class: "invisible" }, code(match[0])));
    end = match.index + match[0].length;
  }
  return h("bdi", attributes, parts, whole.slice(end));
}

/** A message that begins with a word as a sentence does; names of fields and elements stay as they are. */
export const sentence = (text) => (/^[a-z]+[ ,.]/.test(text) ? text[0].toUpperCase() + text.slice(1) : text);

let ids = 0;
/** An id for an element, to be referred to. */
export const newId = () => `e${++ids}`;

/** A table of rows of cells; on a narrow screen each row stands as a card, with its headings beside the cells. */
export function table(caption, headings, rows) {
  // The roles are said since a table laid out as cards would lose them.
  const cell = (content, index) => {
    const [name, attributes] = index === 0 ? ["th", { role: "rowheader", scope: "row" }] : ["td", { role: "cell" }];
    return h(name, { ...attributes, "data-label": headings[index] }, h("div", {}, content));
  };
  return h(
    "table",
    { role: "table" },
    h("caption", { class: "unseen" }, caption),
    h(
      "thead",
      { role: "rowgroup" },
      h("tr", { role: "row" }, headings.map((heading) => h("th", { role: "columnheader", scope: "col" }, heading))),
    ),
    h("tbody", { role: "rowgroup" }, rows.map((cells) => h("tr", { role: "row" }, cells.map(cell)))),
  );
}

/** A labelled input with a hint and a place for what is wrong with it. */
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
    /** Says what is wrong and goes there. */
    refuse(message) {
      problem.replaceChildren(foreign(sentence(message)));
      input.setAttribute("aria-invalid", "true");
      input.focus();
    },
    accept() {
      problem.replaceChildren();
      input.removeAttribute("aria-invalid");
    },
  };
}

/** Radio buttons under a heading. `choices`: value, label, hint. */
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

/** A box for what must not be missed. Kinds: error, warning, note. */
export const notice = (kind, ...children) =>
  h("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : null }, children);

let next = "";
/** Says this when the next page is shown. */
export function sayNext(message) {
  next = message;
}

/** Says what was to be said on this page, if anything was. */
export function sayPending() {
  if (next) say(next);
  next = "";
}

/** Says something that has happened, aloud too. */
export function say(message) {
  const status = document.getElementById("status");
  status.replaceChildren(message ? foreign(message) : "");
}
