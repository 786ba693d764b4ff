// The page of the APIs, and that of one API.

import { all, apiItem, ask, askFor, messagesOf, path } from "./api.js";
import { isMadeFor } from "./backends.js";
import { openForm } from "./dialog.js";
import { field, foreign, h, notice, say, sayNext, table } from "./dom.js";
import { callersMark, callersOf, effectOf, effectsOf, targetMark, targetOf } from "./effective.js";
import { showPolicy } from "./policy.js";
import { showSecurity, usesOwnBackend } from "./security.js";

const link = (id, tab = "security") => `#/apis/${encodeURIComponent(id)}/${tab}`;
const text = (attributes = {}) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes });

/** The fields of an API, and how they become the properties of one; null if one of them is wrong. */
function fields(properties = {}) {
  const name = field("Display name", text({ required: true }));
  const prefix = field("Path", text({ required: true }), "What follows the gateway's address: orders for https://gateway/orders; / for all that nothing else answers.");
  const url = field("Backend URL", text({ type: "url", required: true }), "Where its requests go, as https://orders.internal/api.");
  name.input.value = properties.displayName ?? "";
  prefix.input.value = properties.path === "" ? "/" : (properties.path ?? "");
  url.input.value = properties.serviceUrl ?? "";
  const list = [name, prefix, url];
  const places = { displayName: name, path: prefix, serviceUrl: url };
  return {
    name,
    elements: list.map((one) => one.element),
    read() {
      for (const one of list) one.accept();
      if (!name.input.value.trim()) return name.refuse("The display name is missing.") ?? null;
      if (!prefix.input.value.trim()) return prefix.refuse("The path is missing.") ?? null;
      if (!/^https?:\/\/[^/]/.test(url.input.value.trim())) return url.refuse("Write a URL that begins with https:// or http://.") ?? null;
      return { displayName: name.input.value.trim(), path: prefix.input.value.trim(), serviceUrl: url.input.value.trim(), protocols: ["https"] };
    },
    /** Shows a refusal beside what it is about; false if it is about none of the fields. */
    refuse(problem, id) {
      const target = problem.details?.[0]?.target?.split(".").at(-1);
      places[target]?.refuse(messagesOf(problem, apiItem(id))[0]);
      return Object.hasOwn(places, target ?? "");
    },
  };
}

async function create() {
  const form = fields();
  const id = field("Id", text({ required: true, maxlength: "80" }), "What scripts call it.");
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
      id.accept();
      const properties = form.read();
      if (!properties) return false;
      const name = id.input.value.trim();
      if (!name || name === "." || name === "..") return id.refuse("The id is missing, or . or ..");
      try {
        await ask("PUT", path("apis", name), { body: { properties } });
      } catch (problem) {
        if (problem.status === 412) id.refuse("There is an API with this id. Choose another id.");
        else if (problem.details?.[0]?.target === "id") id.refuse(problem.message);
        else if (!form.refuse(problem, name)) throw problem;
        return false;
      }
      created = name;
      return true;
    },
  });
  return created;
}

/** The policy of an API as XML; null if it has none. */
const policyOf = async (id) => (await askFor(path("apis", id, "policies", "policy"), { format: "xml" }))?.body.properties.value ?? null;

/** Asks, and deletes an API with the backend that the page for its security has made. */
async function remove(id) {
  const [api, backEnds] = await Promise.all([ask("GET", path("apis", id)), all(path("backends"))]);
  const hasOwn = backEnds.some(({ name, properties }) => name === id && isMadeFor(id, properties));
  return openForm({
    title: ["Delete ", foreign(api.body.properties.displayName), "?"],
    content: h(
      "p",
      {},
      ...["Requests to ", h("code", {}, foreign(`/${api.body.properties.path}`)), " will find no route any more. Its policy goes with it"],
      hasOwn ? [", and so does the backend ", foreign(id), " that was made for it, unless something else uses that."] : ".",
    ),
    action: "Yes, delete it",
    cancel: "No, keep it",
    isDangerous: true,
    async submit() {
      await ask("DELETE", path("apis", id), { etag: api.etag });
      if (hasOwn) {
        await ask("DELETE", path("backends", id), { etag: "*" }).catch((problem) => {
          // Something else uses it: it stays.
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
      list.replaceChildren(h("p", { class: "empty" }, "There is no API yet."));
      return;
    }
    const places = new Map(apis.map(({ name, properties }) => [name, h("div", {}, foreign(properties.serviceUrl))]));
    const callers = new Map(apis.map(({ name, properties }) => [name, h("span", { class: "aside" }, properties.readOnly ? "as gateway.toml says" : "see its page")]));
    const shown = apis.map(({ name, properties }) => [
      [h("a", { href: link(name) }, foreign(properties.displayName)), " ", properties.readOnly && readOnlyMark()],
      h("code", {}, foreign(`/${properties.path ?? ""}`)),
      places.get(name),
      callers.get(name),
      h(
        "div",
        { class: "row-actions" },
        properties.readOnly
          ? h("span", { class: "aside" }, "none")
          : h("button", { type: "button", class: "small dangerous-quiet", click: () => view.trying(() => removeRow(name, properties.displayName)) }, "Delete", h("span", { class: "unseen" }, " ", foreign(properties.displayName))),
      ),
    ]);
    list.replaceChildren(table("APIs", ["Name", "Path", "Backend", "Who may call", "Actions"], shown));
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
    say(`${displayName} was deleted.`);
  };
  const add = async () => {
    const id = await create();
    if (id === null) return;
    sayNext(`${id} was created. Requests are served from now on.`);
    location.hash = link(id);
  };
  view.show(
    h("div", { class: "title" }, view.heading, h("button", { type: "button", class: "primary", click: () => view.trying(add) }, "Create API")),
    h("p", { class: "lead" }, "What callers reach, and which backends answer. Those of gateway.toml are changed there."),
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
        // The backend that the page for its security has made goes along.
        const backEnd = await ask("GET", path("backends", id));
        const body = { properties: { ...backEnd.body.properties, url: properties.serviceUrl } };
        await ask("PUT", path("backends", id), { body, etag: backEnd.etag });
      }
      await ask("PATCH", path("apis", id), { body: { properties }, etag: api.etag });
    } catch (problem) {
      if (problem.status === 412) problems.replaceChildren(notice("error", h("p", {}, "Somebody else changed this API meanwhile. Reload the page to see how it stands.")));
      else if (!form.refuse(problem, id)) throw problem;
      return;
    }
    await showApi(view, id, "settings");
    say("Saved. In effect for every request from now on.");
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
  const api = await ask("GET", path("apis", id));
  const { displayName, path: prefix, serviceUrl, readOnly = false } = api.body.properties;
  const chosen = Object.hasOwn(TABS, tab ?? "") ? tab : "security";
  const element = h("div", { class: "tab" });
  const line = h("dl", { class: "line" });
  const effect = readOnly ? null : await effectOf(id);
  /** What decides may have been changed below. */
  const describe = (now) => {
    const facts = [
      ["Path", h("code", {}, foreign(`/${prefix ?? ""}`))],
      ["Backend", now ? targetMark(targetOf(now, serviceUrl), id) : foreign(serviceUrl)],
      ...(now ? [["Who may call", callersMark(callersOf(now))]] : []),
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
      ? notice("note", h("p", {}, "This API is a route of gateway.toml. Change it in that file; the gateway reads it again by itself."))
      : h(
          "nav",
          { class: "tabs", "aria-label": "Parts of this API" },
          h("ul", {}, Object.entries(TABS).map(([key, label]) => h("li", {}, h("a", { href: link(id, key), "aria-current": key === chosen ? "page" : null }, label)))),
        ),
    element,
  );
  if (readOnly) return;
  if (chosen === "policy") {
    await showPolicy(view, element, path("apis", id, "policies", "policy"), {
      item: apiItem(id),
      without: "The policy of all APIs will decide about requests to this API, if there is one. If not, anybody can call it.",
      changed: async () => describe(await effectOf(id)),
    });
  } else if (chosen === "settings") await showSettings(view, element, api);
  else await showSecurity(view, element, api, effect, () => showApi(view, id, tab));
}
