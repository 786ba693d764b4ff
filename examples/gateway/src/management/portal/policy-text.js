// What a policy document says of identity and backend directly in its <inbound>, and how that is changed: only the
// element in question is, the rest of the text stays as it was written. Documents come well-formed from the gateway.

/** A document that changes nothing. */
export const EMPTY = `<policies>
    <inbound>
        <base />
    </inbound>
    <backend>
        <base />
    </backend>
    <outbound>
        <base />
    </outbound>
    <on-error>
        <base />
    </on-error>
</policies>
`;

// A comment, CDATA, a processing instruction, or a tag: its slash, name, attributes, slash.
const MARKUP =
  /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<(\/?)([^\s<>/!?]+)((?:\s+[^\s=<>"'/]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>/g;
const ATTRIBUTE = /([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const ENTITIES = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

const decode = (text) =>
  text.replace(/[\t\n\r]/g, " ").replace(/&(?:#x([0-9a-f]+)|#([0-9]+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (name) return ENTITIES[name] ?? whole;
    return String.fromCodePoint(Number.parseInt(hex ?? decimal, hex ? 16 : 10));
  });

const encode = (text) =>
  text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);

/** The root element: each has name, attributes, children, the bounds of the whole and of what is inside. */
function parse(xml) {
  const root = { children: [], parent: null };
  let open = root;
  for (const match of xml.matchAll(MARKUP)) {
    const [text, slash, name, attributes, selfClosing] = match;
    if (name === undefined) continue;
    const end = match.index + text.length;
    if (slash) {
      if (open.name !== name) throw new Error("The policy cannot be read here. Change it as text, on the page Policy.");
      Object.assign(open, { insideEnd: match.index, end });
      open = open.parent;
      continue;
    }
    const pairs = [...attributes.matchAll(ATTRIBUTE)].map(([, key, double, single]) => [key, decode(double ?? single)]);
    const element = { name, attributes: Object.fromEntries(pairs), children: [], parent: open, start: match.index, end };
    open.children.push(element);
    if (selfClosing) element.isEmpty = true;
    else {
      element.insideStart = end;
      open = element;
    }
  }
  if (open !== root || root.children.length !== 1) {
    throw new Error("The policy cannot be read here. Change it as text, on the page Policy.");
  }
  return root.children[0];
}

const named = (element, name) => element.children.filter((child) => child.name === name);
const deep = (element, name) =>
  element.children.flatMap((child) => (child.name === name ? [child] : deep(child, name)));

/**
 * What is said of this element: `direct`, the attributes of the last of those directly in <inbound> (null: there is
 * none), and `elsewhere`, whether one stands deeper, where conditions decide about it.
 */
export function read(xml, name) {
  if (xml === null) return { direct: null, elsewhere: false };
  const root = parse(xml);
  const inbound = named(root, "inbound");
  const direct = inbound.flatMap((element) => named(element, name));
  return { direct: direct.at(-1)?.attributes ?? null, elsewhere: deep(root, name).length > direct.length };
}

/** What is directly in <inbound>, or all of a fragment; null: what stands in the document above. */
function inboundOf(xml) {
  if (xml === null) return null;
  const root = parse(xml);
  if (root.name !== "policies") return [root];
  const sections = named(root, "inbound");
  return sections.length > 0 ? sections.flatMap((section) => section.children) : null;
}

const BASE = { name: "base", attributes: {}, children: [] };
const isOrHas = (element, name) => element.name === name || deep(element, name).length > 0;

/**
 * What counts of this element in the end, in an API's own document and the one above that stands for <base />: the
 * attributes of the last (null: there is none), whose it is (`own` or `above`), and in whose document conditions decide
 * (`depends`; null: none do). With `isOwnLeftOut` as if the API's own document had none directly.
 */
export function effective(own, above, name, isOwnLeftOut = false) {
  const from = (scope) => (step) => ({ step, scope });
  const inherited = (inboundOf(above) ?? []).filter(({ name: step }) => step !== "base").map(from("above"));
  const steps = (inboundOf(own) ?? [BASE]).flatMap((step) => (step.name === "base" ? inherited : [from("own")(step)]));
  let found = { attributes: null, scope: null, depends: null };
  for (const { step, scope } of steps) {
    if (step.name === name) {
      if (!(isOwnLeftOut && scope === "own")) found = { attributes: step.attributes, scope, depends: null };
    } else if (deep(step, name).length > 0) {
      found = { ...found, depends: scope };
    } else if (deep(step, "base").length > 0 && inherited.some((one) => isOrHas(one.step, name))) {
      found = { ...found, depends: scope };
    }
  }
  return found;
}

/** Whether a document may refuse callers by their certificates. */
function asks(xml) {
  const text = xml.replace(/<!--[\s\S]*?-->/g, "");
  const validates = [...text.matchAll(/<validate-client-certificate\b[^>]*>/g)];
  if (validates.some(([element]) => !/\signore-error\s*=\s*["']true["']/.test(element))) return true;
  return /\.\s*Certificate\b/.test(text) && /<return-response\b/.test(text);
}

/**
 * Who may call an API with this document, `above` standing for <base />: `anybody`, or whom its `own` policy or that
 * `above` lets. `warnings` are what the gateway says of the API's own document, which sees more than this.
 */
export function callers(own, above, warnings = []) {
  if (warnings.some((warning) => warning.includes("all requests pass"))) return "anybody";
  if (own !== null && asks(own)) return "own";
  const steps = inboundOf(own) ?? [BASE];
  if (above !== null && steps.some((step) => isOrHas(step, "base")) && asks(above)) return "above";
  return "anybody";
}

/** The text from the start of the line to an element, if that is white space alone. */
function indentation(xml, at) {
  const line = xml.slice(xml.lastIndexOf("\n", at - 1) + 1, at);
  return line.trim() === "" ? line : null;
}

/** Without an element, nor the line that it leaves empty. */
function without(xml, { start, end }) {
  const indent = indentation(xml, start);
  const rest = /^[ \t]*(\r?\n|$)/.exec(xml.slice(end));
  if (indent === null || !rest) return xml.slice(0, start) + xml.slice(end);
  return xml.slice(0, start - indent.length) + xml.slice(end + rest[0].length);
}

/** With this element directly in <inbound>, once, with these attributes; with null without it. */
export function write(xml, name, attributes) {
  if (xml === null) {
    if (attributes === null) return null;
    xml = EMPTY;
  }
  const root = parse(xml);
  if (root.name !== "policies") throw new Error("The policy is no whole document. Change it as text, on the page Policy.");
  const [inbound] = named(root, "inbound");
  const found = inbound ? named(inbound, name) : [];
  const kept = attributes === null ? null : found.at(-1);
  for (const element of found.toReversed()) {
    if (element !== kept) xml = without(xml, element);
  }
  if (attributes === null) return xml;
  const element = `<${name}${Object.entries(attributes).map(([key, value]) => ` ${key}="${encode(value)}"`).join("")} />`;
  if (kept) {
    // Those before it, of the same name, are gone.
    const again = parse(xml);
    const { start, end } = named(named(again, "inbound")[0], name)[0];
    return xml.slice(0, start) + element + xml.slice(end);
  }
  if (!inbound) {
    const at = root.isEmpty ? null : root.insideStart;
    if (at === null) return write(null, name, attributes);
    return `${xml.slice(0, at)}\n    <inbound>\n        <base />\n        ${element}\n    </inbound>${xml.slice(at)}`;
  }
  if (inbound.isEmpty) {
    const indent = indentation(xml, inbound.start) ?? "";
    const inside = `<inbound>\n${indent}    ${element}\n${indent}</inbound>`;
    return xml.slice(0, inbound.start) + inside + xml.slice(inbound.end);
  }
  // Behind <base />, if it is there: what this document says is then said last.
  const before = named(inbound, "base").at(-1);
  const neighbour = before ?? inbound.children[0];
  const indent = neighbour ? indentation(xml, neighbour.start) : null;
  const separator = indent === null ? "" : `\n${indent}`;
  if (before) return `${xml.slice(0, before.end)}${separator}${element}${xml.slice(before.end)}`;
  if (neighbour) return `${xml.slice(0, neighbour.start)}${element}${separator}${xml.slice(neighbour.start)}`;
  return `${xml.slice(0, inbound.insideStart)}${element}${xml.slice(inbound.insideStart)}`;
}
