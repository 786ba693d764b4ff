// Reads and changes single elements in <inbound> of a policy document, and leaves the rest of its text unchanged. Documents
// of the gateway are well-formed.

/** A document without effect. */
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

/** Parses a document. Returns the root element; elements have name, attributes, children, and their outer and inner bounds. */
function parse(xml) {
  const root = { children: [], parent: null };
  let open = root;
  for (const match of xml.matchAll(MARKUP)) {
    const [text, slash, name, attributes, selfClosing] = match;
    if (name === undefined) continue;
    const end = match.index + text.length;
    if (slash) {
      if (open.name !== name) throw new Error("The policy cannot be edited here. Edit its text on the Policy tab.");
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
    throw new Error("The policy cannot be edited here. Edit its text on the Policy tab.");
  }
  return root.children[0];
}

const named = (element, name) => element.children.filter((child) => child.name === name);
const deep = (element, name) =>
  element.children.flatMap((child) => (child.name === name ? [child] : deep(child, name)));

/**
 * Finds an element: `direct`, the attributes of the last one directly in <inbound> (null: none), and `elsewhere`, true if
 * there is a nested one, which depends on conditions.
 */
export function read(xml, name) {
  if (xml === null) return { direct: null, elsewhere: false };
  const root = parse(xml);
  const inbound = named(root, "inbound");
  const direct = inbound.flatMap((element) => named(element, name));
  return { direct: direct.at(-1)?.attributes ?? null, elsewhere: deep(root, name).length > direct.length };
}

/** Returns the children of <inbound>, or a fragment; null without <inbound>, which inherits the global policy. */
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
 * Returns the effective element of an API's own document and the global policy, which replaces <base />: the attributes
 * of the last one (null: none), its scope (`own` or `global`), and the scope whose conditions can change it (`depends`;
 * null: none). With `isOwnLeftOut`, the direct element of the API's own document is ignored.
 */
export function effective(own, globalPolicy, name, isOwnLeftOut = false) {
  const from = (scope) => (step) => ({ step, scope });
  const inherited = (inboundOf(globalPolicy) ?? []).filter(({ name: step }) => step !== "base").map(from("global"));
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

/** Returns whether a document can reject callers by their certificates. */
function checksCallers(xml) {
  const text = xml.replace(/<!--[\s\S]*?-->/g, "");
  const validates = [...text.matchAll(/<validate-client-certificate\b[^>]*>/g)];
  if (validates.some(([element]) => !/\signore-error\s*=\s*["']true["']/.test(element))) return true;
  return /\.\s*Certificate\b/.test(text) && /<return-response\b/.test(text);
}

/**
 * Returns the scope of the policy that restricts the callers of an API, `own` or `global`, or `anyone`. `warnings` are
 * the gateway's for the API's own document, whose analysis is more precise.
 */
export function callers(own, globalPolicy, warnings = []) {
  if (warnings.some((warning) => warning.includes("all requests pass"))) return "anyone";
  if (own !== null && checksCallers(own)) return "own";
  const steps = inboundOf(own) ?? [BASE];
  if (globalPolicy !== null && steps.some((step) => isOrHas(step, "base")) && checksCallers(globalPolicy)) return "global";
  return "anyone";
}

/** Returns the text before an element on its line if it is white space, else null. */
function indentation(xml, at) {
  const line = xml.slice(xml.lastIndexOf("\n", at - 1) + 1, at);
  return line.trim() === "" ? line : null;
}

/** Removes an element, and its line if that becomes empty. */
function without(xml, { start, end }) {
  const indent = indentation(xml, start);
  const rest = /^[ \t]*(\r?\n|$)/.exec(xml.slice(end));
  if (indent === null || !rest) return xml.slice(0, start) + xml.slice(end);
  return xml.slice(0, start - indent.length) + xml.slice(end + rest[0].length);
}

/** Sets the attributes of the only direct element in <inbound>; null removes it. */
export function write(xml, name, attributes) {
  if (xml === null) {
    if (attributes === null) return null;
    xml = EMPTY;
  }
  const root = parse(xml);
  if (root.name !== "policies") throw new Error("The policy is not a complete document. Edit its text on the Policy tab.");
  const [inbound] = named(root, "inbound");
  const found = inbound ? named(inbound, name) : [];
  const kept = attributes === null ? null : found.at(-1);
  for (const element of found.toReversed()) {
    if (element !== kept) xml = without(xml, element);
  }
  if (attributes === null) return xml;
  const element = `<${name}${Object.entries(attributes).map(([key, value]) => ` ${key}="${encode(value)}"`).join("")} />`;
  if (kept) {
    // Earlier elements of the same name were removed.
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
  // After <base />, if present, so that this element takes precedence.
  const before = named(inbound, "base").at(-1);
  const neighbour = before ?? inbound.children[0];
  const indent = neighbour ? indentation(xml, neighbour.start) : null;
  const separator = indent === null ? "" : `\n${indent}`;
  if (before) return `${xml.slice(0, before.end)}${separator}${element}${xml.slice(before.end)}`;
  if (neighbour) return `${xml.slice(0, neighbour.start)}${element}${separator}${xml.slice(neighbour.start)}`;
  return `${xml.slice(0, inbound.insideStart)}${element}${xml.slice(inbound.insideStart)}`;
}
