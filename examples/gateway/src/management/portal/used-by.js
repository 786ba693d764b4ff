// Who uses something, as people call it, and what is shown when it cannot be deleted because of that.

import { foreign, h, notice, visible } from "./dom.js";

/** A user as the gateway names it: a resource by its path, or a route of gateway.toml. */
function user(by) {
  const [, api] = /^\/apis\/(.+)\/policies\/policy$/.exec(by) ?? [];
  if (api !== undefined) return h("a", { href: `#/apis/${encodeURIComponent(api)}/policy` }, "API ", foreign(api));
  if (by === "/policies/policy") return h("a", { href: "#/policy" }, "Policy of all APIs");
  const [, backEnd] = /^\/backends\/(.+)$/.exec(by) ?? [];
  if (backEnd !== undefined) return h("a", { href: "#/backends" }, "Backend ", foreign(backEnd));
  // Lines break behind a slash, not in a word.
  return h("bdi", {}, by.split(/(?<=\/)/).map((part) => [visible(part), h("wbr")]));
}

export const users = (usedBy) => h("ul", { class: "users" }, usedBy.map((by) => h("li", {}, user(by))));

/** Shows in a dialog why something was not deleted, if that is because it is used or was changed; false if not. */
export function refuseDeletion(problem, refuse) {
  // Whoever uses it stands in the message line by line.
  const [, ...named] = problem.message.split("\r\n").filter(Boolean);
  if (problem.status === 400 && named.length > 0) {
    refuse(notice("error", h("p", {}, "It is in use, and was not deleted. Remove it first from:"), users(named)), true);
  } else if (problem.status === 412) {
    refuse(notice("error", h("p", {}, "Somebody else changed it meanwhile. Close this and look again.")), true);
  } else return false;
  return true;
}
