// Effect of an API's policy and the global policy: callers and backend.

import { all, callApi, getOrNull, path } from "./api.js";
import { untrusted, h } from "./dom.js";
import { callers, effective } from "./policy-text.js";

export const IDENTITY = "authentication-certificate";
export const BACKEND = "set-backend-service";

export const isExpression = (text) => text.startsWith("@(") || text.startsWith("@{") || text.includes("{{");

const valueOf = (resource) => resource?.properties.value ?? null;

/** Returns whether the verification of a backend's certificate is reduced. */
export const isUnverified = ({ tls = {} } = {}) => tls.validateCertificateChain === false || tls.validateCertificateName === false;

export const isPlain = (url = "") => url.toLowerCase().startsWith("http:");

/** Loads the policies and backends that apply to an API. */
export async function effectOf(id) {
  const [policy, globalPolicy, backends] = await Promise.all([
    getOrNull(path("apis", id, "policies", "policy"), { format: "xml" }),
    getOrNull(path("policies", "policy"), { format: "xml" }),
    all(path("backends")),
  ]);
  const warnings = policy?.body.properties.warnings ?? [];
  return { etag: policy?.etag, own: valueOf(policy?.body), globalPolicy: valueOf(globalPolicy?.body), warnings, backends };
}

/** Returns the policy that restricts the callers of an API, or "anyone"; null: the policy cannot be parsed. */
export function callersOf({ own, globalPolicy, warnings }) {
  try {
    return callers(own, globalPolicy, warnings);
  } catch {
    return null;
  }
}

const CALLERS = { own: "by its policy", global: "by the global policy" };

/** Formats the result of `callersOf`. */
export const callersMark = (who) =>
  who === "anyone" ? h("span", { class: "badge warning" }, "Anyone") : h("span", { class: "aside" }, CALLERS[who] ?? "see its policy");

/** Loads the effects of the first hundred APIs of a list, and calls `found` for each. */
export async function effectsOf(ids, found) {
  const [{ body }, backends] = await Promise.all([
    callApi("GET", path("policies"), { query: { format: "xml" } }),
    all(path("backends")),
  ]);
  const globalPolicy = valueOf(body.value[0]);
  const waiting = ids.slice(0, 100);
  const next = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      try {
        const [policy] = (await callApi("GET", path("apis", id, "policies"), { query: { format: "xml" } })).body.value;
        found(id, { own: valueOf(policy), globalPolicy, warnings: policy?.properties.warnings ?? [], backends });
      } catch (problem) {
        // Deleted meanwhile, or the policy has no XML form.
        if (![400, 404].includes(problem.status)) throw problem;
      }
    }
  };
  await Promise.all([next(), next(), next(), next()]);
}

/** Returns the target of requests. Kinds: service, url, backend; depends, if conditions or expressions select it. */
export function targetOf({ own, globalPolicy, backends }, serviceUrl) {
  let found;
  try {
    found = effective(own, globalPolicy, BACKEND);
  } catch {
    return { kind: "depends" };
  }
  const { attributes, depends } = found;
  if (depends !== null) return { kind: "depends" };
  if (attributes === null) return { kind: "service", url: serviceUrl };
  const { "backend-id": id, "base-url": url = "" } = attributes;
  if (id === undefined) return isExpression(url.trim()) ? { kind: "depends" } : { kind: "url", url: url.trim() };
  const properties = backends.find(({ name }) => name === id)?.properties;
  return { kind: "backend", id, properties, url: properties?.url };
}

/** Formats the result of `targetOf`. */
export function targetMark(target, apiId) {
  if (target.kind === "depends") return "selected by the policy";
  const named = target.kind === "backend" && target.id !== apiId && [" (backend ", h("a", { href: "#/backends" }, untrusted(target.id)), ")"];
  return [
    untrusted(target.url ?? ""),
    named,
    target.kind === "url" && h("span", { class: "aside" }, " (from the policy)"),
    isPlain(target.url) && [" ", h("span", { class: "badge warning" }, "plain http")],
    !isPlain(target.url) && isUnverified(target.properties) && [" ", h("span", { class: "badge warning" }, "not verified")],
  ];
}
