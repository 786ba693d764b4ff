// The list of APIs, and the page of an API.

import { all, apiItem, callApi, getOrNull, messagesOf, path } from "./api.js";
import { isMadeFor } from "./backends.js";
import { openForm } from "./dialog.js";
import { field, untrusted, h, notice, announce, announceOnNextPage, table } from "./dom.js";
import { callersMark, callersOf, effectOf, effectsOf, targetMark, targetOf } from "./effective.js";
import { showPolicy } from "./policy.js";
import { showSecurity, usesOwnBackend } from "./security.js";

const link = (id, tab = "security") => `#/apis/${encodeURIComponent(id)}/${tab}`;
const text = (attributes = {}) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes });

/** Form fields of an API. `read` returns the properties, or null if a field is invalid. */
function fields(properties = {}) {
  const name = field("Display name", text({ required: true }));
  const prefix = field("Path", text({ required: true }), "Path prefix after the gateway's address, such as orders for https://gateway/orders. Use / for all other requests.");
  const url = field("Backend URL", text({ type: "url", required: true }), "The URL of the backend, such as https://orders.internal/api.");
  name.input.value = properties.displayName ?? "";
  prefix.input.value = properties.path === "" ? "/" : (properties.path ?? "");
  url.input.value = properties.serviceUrl ?? "";
  const list = [name, prefix, url];
  const places = { displayName: name, path: prefix, serviceUrl: url };
  return {
    name,
    elements: list.map((one) => one.element),
    read() {
      for (const one of list) one.clearError();
      if (!name.input.value.trim()) return name.showError("The display name is missing.") ?? null;
      if (!prefix.input.value.trim()) return prefix.showError("The path is missing.") ?? null;
      if (!/^https?:\/\/[^/]/.test(url.input.value.trim())) return url.showError("Enter a URL that begins with https:// or http://.") ?? null;
      return { displayName: name.input.value.trim(), path: prefix.input.value.trim(), serviceUrl: url.input.value.trim(), protocols: ["https"] };
    },
    /** Shows an error at the field that it refers to; returns false if it refers to no field. */
    showError(problem, id) {
      const target = problem.details?.[0]?.target?.split(".").at(-1);
      places[target]?.showError(messagesOf(problem, apiItem(id))[0]);
      return Object.hasOwn(places, target ?? "");
    },
  };
}

async function create() {
  const form = fields();
  const id = field("Id", text({ required: true, maxlength: "80" }), "Identifier of the API in scripts.");
  let isOwnId = false;
  id.input.addEventListener("input", () => {
    isOwnId = id.input.value !== "";
  });
  form.name.input.addEventListener("input", () => {
    if (!isOwnId) id.input.value = form.name.input.value.trim().toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80);
  });
  const [nameElement, ...others] = form.elements;
  let created = null;
  await openForm({
    title: "Create an API",
    content: [nameElement, id.element, others],
    action: "Create",
    async submit() {
      id.clearError();
      const properties = form.read();
      if (!properties) return false;
      const name = id.input.value.trim();
      if (!name || name === "." || name === "..") return id.showError("Enter an id other than . and ..");
      try {
        await callApi("PUT", path("apis", name), { body: { properties } });
      } catch (problem) {
        if (problem.status === 412) id.showError("An API with this id already exists. Choose another id.");
        else if (problem.details?.[0]?.target === "id") id.showError(problem.message);
        else if (!form.showError(problem, name)) throw problem;
        return false;
      }
      created = name;
      return true;
    },
  });
  return created;
}

/** Returns the policy of an API as XML; null if it has none. */
const policyOf = async (id) => (await getOrNull(path("apis", id, "policies", "policy"), { format: "xml" }))?.body.properties.value ?? null;

/** Confirms and deletes an API, with the backend that the Security tab created for it. */
async function remove(id) {
  const [api, backends] = await Promise.all([callApi("GET", path("apis", id)), all(path("backends"))]);
  const hasOwn = backends.some(({ name, properties }) => name === id && isMadeFor(id, properties));
  return openForm({
    title: ["Delete ", untrusted(api.body.properties.displayName), "?"],
    content: h(
      "p",
      {},
      ...["Requests to ", h("code", {}, untrusted(`/${api.body.properties.path}`)), " will no longer be routed. Its policy will be deleted"],
      hasOwn ? [", and so will the backend ", untrusted(id), " that was created for it, unless it is in use."] : ".",
    ),
    action: "Yes, delete it",
    cancel: "No, keep it",
    isDangerous: true,
    async submit() {
      await callApi("DELETE", path("apis", id), { etag: api.etag });
      if (hasOwn) {
        await callApi("DELETE", path("backends", id), { etag: "*" }).catch((problem) => {
          // Still in use.
          if (problem.status !== 400) throw problem;
        });
      }
      return true;
    },
  });
}

const readOnlyMark = () => h("span", { class: "badge" }, "read-only: gateway.toml");

export async function showApis(view) {
  const list = h("div", { class: "list" });
  const load = async () => {
    const apis = await all(path("apis"));
    if (apis.length === 0) {
      list.replaceChildren(h("p", { class: "empty" }, "There are no APIs yet."));
      return;
    }
    const places = new Map(apis.map(({ name, properties }) => [name, h("div", {}, untrusted(properties.serviceUrl))]));
    const callers = new Map(apis.map(({ name, properties }) => [name, h("span", { class: "aside" }, properties.readOnly ? "see gateway.toml" : "see API")]));
    const shown = apis.map(({ name, properties }) => [
      [h("a", { href: link(name) }, untrusted(properties.displayName)), " ", properties.readOnly && readOnlyMark()],
      h("code", {}, untrusted(`/${properties.path ?? ""}`)),
      places.get(name),
      callers.get(name),
      h(
        "div",
        { class: "row-actions" },
        properties.readOnly
          ? h("span", { class: "aside" }, "none")
          : h("button", { type: "button", class: "small dangerous-quiet", click: () => view.trying(() => removeRow(name, properties.displayName)) }, "Delete", h("span", { class: "visually-hidden" }, " ", untrusted(properties.displayName))),
      ),
    ]);
    list.replaceChildren(table("APIs", ["Name", "Path", "Backend", "Callers", "Actions"], shown));
    const urls = new Map(apis.filter(({ properties }) => !properties.readOnly).map(({ name, properties }) => [name, properties.serviceUrl]));
    await effectsOf([...urls.keys()], (name, effect) => {
      places.get(name).replaceChildren(...[targetMark(targetOf(effect, urls.get(name)), name)].flat(Infinity).filter(Boolean));
      callers.get(name).replaceWith(callersMark(callersOf(effect)));
    });
  };
  const removeRow = async (id, displayName) => {
    if (!(await remove(id))) return;
    await load();
    view.heading.focus();
    announce(`${displayName} was deleted.`);
  };
  const add = async () => {
    const id = await create();
    if (id === null) return;
    announceOnNextPage(`${id} was created and is now served.`);
    location.hash = link(id);
  };
  view.show(
    h("div", { class: "title" }, view.heading, h("button", { type: "button", class: "primary", click: () => view.trying(add) }, "Create API")),
    h("p", { class: "lead" }, "Published paths and the backends that serve them. Routes of gateway.toml are read-only here."),
    list,
  );
  await load();
}

async function showSettings(view, element, api) {
  const id = api.body.name;
  const form = fields(api.body.properties);
  const problems = h("div");
  const save = async () => {
    problems.replaceChildren();
    const properties = form.read();
    if (!properties) return;
    try {
      if (properties.serviceUrl !== api.body.properties.serviceUrl && usesOwnBackend(await policyOf(id), id)) {
        // Also update the backend that the Security tab created.
        const backend = await callApi("GET", path("backends", id));
        const body = { properties: { ...backend.body.properties, url: properties.serviceUrl } };
        await callApi("PUT", path("backends", id), { body, etag: backend.etag });
      }
      await callApi("PATCH", path("apis", id), { body: { properties }, etag: api.etag });
    } catch (problem) {
      if (problem.status === 412) problems.replaceChildren(notice("error", h("p", {}, "This API was changed by someone else. Reload the page to see the current version.")));
      else if (!form.showError(problem, id)) throw problem;
      return;
    }
    await showApi(view, id, "settings");
    announce("Saved. The change is in effect for new requests.");
  };
  element.replaceChildren(
    h(
      "form",
      { class: "sheet", novalidate: true, submit: (event) => { event.preventDefault(); view.trying(save); } },
      form.elements,
      problems,
      h("div", { class: "actions" }, h("button", { class: "primary" }, "Save")),
    ),
  );
}

const TABS = { security: "Security", policy: "Policy", settings: "Settings" };

export async function showApi(view, id, tab) {
  const api = await callApi("GET", path("apis", id));
  const { displayName, path: prefix, serviceUrl, readOnly = false } = api.body.properties;
  const chosen = Object.hasOwn(TABS, tab ?? "") ? tab : "security";
  const element = h("div", { class: "tab" });
  const line = h("dl", { class: "line" });
  const effect = readOnly ? null : await effectOf(id);
  /** Shows the summary; called again after changes on the tabs. */
  const describe = (now) => {
    const facts = [
      ["Path", h("code", {}, untrusted(`/${prefix ?? ""}`))],
      ["Backend", now ? targetMark(targetOf(now, serviceUrl), id) : untrusted(serviceUrl)],
      ...(now ? [["Callers", callersMark(callersOf(now))]] : []),
    ];
    line.replaceChildren(...facts.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
  };
  describe(effect);
  if (view.isOver) return;
  view.name(displayName);
  view.show(
    h("p", { class: "trail" }, h("a", { href: "#/apis" }, "APIs")),
    h("div", { class: "title" }, view.heading, readOnly && readOnlyMark()),
    line,
    readOnly
      ? notice("note", h("p", {}, "This API is a route of gateway.toml. Change it in that file; the gateway reloads it automatically."))
      : h(
          "nav",
          { class: "tabs", "aria-label": "Sections of this API" },
          h("ul", {}, Object.entries(TABS).map(([key, label]) => h("li", {}, h("a", { href: link(id, key), "aria-current": key === chosen ? "page" : null }, label)))),
        ),
    element,
  );
  if (readOnly) return;
  if (chosen === "policy") {
    await showPolicy(view, element, path("apis", id, "policies", "policy"), {
      item: apiItem(id),
      without: "The global policy, if there is one, will apply to this API. Without one, anyone can call it.",
      changed: async () => describe(await effectOf(id)),
    });
  } else if (chosen === "settings") await showSettings(view, element, api);
  else await showSecurity(view, element, api, effect, () => showApi(view, id, tab));
}
