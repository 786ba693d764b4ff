// Users of certificates and backends, and the errors of deletions that they prevent.

import { untrusted, h, notice, visible } from "./dom.js";

/** Formats a user: a resource path, or a route of gateway.toml. */
function user(by) {
  const [, api] = /^\/apis\/(.+)\/policies\/policy$/.exec(by) ?? [];
  if (api !== undefined) return h("a", { href: `#/apis/${encodeURIComponent(api)}/policy` }, "API ", untrusted(api));
  if (by === "/policies/policy") return h("a", { href: "#/policy" }, "Global policy");
  const [, backend] = /^\/backends\/(.+)$/.exec(by) ?? [];
  if (backend !== undefined) return h("a", { href: "#/backends" }, "Backend ", untrusted(backend));
  // Allow line breaks after slashes only.
  return h("bdi", {}, by.split(/(?<=\/)/).map((part) => [visible(part), h("wbr")]));
}

export const users = (usedBy) => h("ul", { class: "users" }, usedBy.map((by) => h("li", {}, user(by))));

/** Shows that a deletion failed because of users or a concurrent change; returns false for other errors. */
export function showDeletionError(problem, showError) {
  // The message lists one user per line.
  const [, ...named] = problem.message.split("\r\n").filter(Boolean);
  if (problem.status === 400 && named.length > 0) {
    showError(notice("error", h("p", {}, "Not deleted: it is still used by"), users(named)), true);
  } else if (problem.status === 412) {
    showError(notice("error", h("p", {}, "It was changed by someone else. Close this dialog and try again.")), true);
  } else return false;
  return true;
}
