// What holds for an API by its own policy and that of all APIs: who may call it, and which backend answers.

import { all, ask, askFor, path } from "./api.js";
import { foreign, h } from "./dom.js";
import { callers, effective } from "./policy-text.js";

export const IDENTITY = "authentication-certificate";
export const BACKEND = "set-backend-service";

export const isExpression = (text) => text.startsWith("@(") || text.startsWith("@{") || text.includes("{{");

const valueOf = (resource) => resource?.properties.value ?? null;

/** Whether a backend may be anybody who poses as it. */
export const isUnverified = ({ tls = {} } = {}) => tls.validateCertificateChain === false || tls.validateCertificateName === false;

export const isPlain = (url = "") => url.toLowerCase().startsWith("http:");

/** All that decides about an API. */
export async function effectOf(id) {
  const [policy, above, backEnds] = await Promise.all([
    askFor(path("apis", id, "policies", "policy"), { format: "xml" }),
    askFor(path("policies", "policy"), { format: "xml" }),
    all(path("backends")),
  ]);
  const warnings = policy?.body.properties.warnings ?? [];
  return { etag: policy?.etag, own: valueOf(policy?.body), above: valueOf(above?.body), warnings, backEnds };
}

/** Who may call an API; null: its policy cannot be read here. */
export function callersOf({ own, above, warnings }) {
  try {
    return callers(own, above, warnings);
  } catch {
    return null;
  }
}

const CALLERS = { own: "as its policy says", above: "as the policy of all APIs says" };

/** Who may call an API, in few words. */
export const callersMark = (who) =>
  who === "anybody" ? h("span", { class: "badge warning" }, "Anybody") : h("span", { class: "aside" }, CALLERS[who] ?? "see its policy");

/** What decides about each of the APIs of a list, told one by one; those beyond the first hundred are not asked for. */
export async function effectsOf(ids, found) {
  const [{ body }, backEnds] = await Promise.all([
    ask("GET", path("policies"), { query: { format: "xml" } }),
    all(path("backends")),
  ]);
  const above = valueOf(body.value[0]);
  const waiting = ids.slice(0, 100);
  const next = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      try {
        const [policy] = (await ask("GET", path("apis", id, "policies"), { query: { format: "xml" } })).body.value;
        found(id, { own: valueOf(policy), above, warnings: policy?.properties.warnings ?? [], backEnds });
      } catch (problem) {
        // It is gone meanwhile, or its policy has no such text.
        if (![400, 404].includes(problem.status)) throw problem;
      }
    }
  };
  await Promise.all([next(), next(), next(), next()]);
}

/** Where the requests to an API go. Kinds: service, url, backend; depends, where conditions or expressions decide. */
export function targetOf({ own, above, backEnds }, serviceUrl) {
  let found;
  try {
    found = effective(own, above, BACKEND);
  } catch {
    return { kind: "depends" };
  }
  const { attributes, depends } = found;
  if (depends !== null) return { kind: "depends" };
  if (attributes === null) return { kind: "service", url: serviceUrl };
  const { "backend-id": id, "base-url": url = "" } = attributes;
  if (id === undefined) return isExpression(url.trim()) ? { kind: "depends" } : { kind: "url", url: url.trim() };
  const properties = backEnds.find(({ name }) => name === id)?.properties;
  return { kind: "backend", id, properties, url: properties?.url };
}

/** The same for people. */
export function targetMark(target, apiId) {
  if (target.kind === "depends") return "chosen by the policy";
  const named = target.kind === "backend" && target.id !== apiId && [" (backend ", h("a", { href: "#/backends" }, foreign(target.id)), ")"];
  return [
    foreign(target.url ?? ""),
    named,
    target.kind === "url" && h("span", { class: "aside" }, " (from the policy)"),
    isPlain(target.url) && [" ", h("span", { class: "badge warning" }, "plain http")],
    !isPlain(target.url) && isUnverified(target.properties) && [" ", h("span", { class: "badge warning" }, "not verified")],
  ];
}
