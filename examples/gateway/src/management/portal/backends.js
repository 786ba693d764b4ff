// The list of backends.

import { all, callApi, path } from "./api.js";
import { lastFour } from "./certificates.js";
import { openForm } from "./dialog.js";
import { untrusted, h, announce, table } from "./dom.js";
import { isPlain } from "./effective.js";
import { showDeletionError } from "./used-by.js";

/** Returns the description of a backend that the Security tab creates for an API. */
export const madeFor = (apiId) => `Created for the API '${apiId}' by the portal.`;

/** Returns whether the Security tab created a backend; others can exist under the id of an API. */
export const isMadeFor = (apiId, { description }) => description === madeFor(apiId);

function verification({ url, tls = {} }) {
  if (isPlain(url)) return h("span", { class: "badge warning" }, "plain http");
  const off = [
    tls.validateCertificateChain === false && "chain not verified",
    tls.validateCertificateName === false && "name not verified",
  ].filter(Boolean);
  if (off.length === 0) return h("span", { class: "aside" }, "chain and name");
  return off.map((words) => [h("span", { class: "badge warning" }, words), " "]);
}

function certificate({ credentials = {} }) {
  const [id] = credentials.certificateIds ?? [];
  const [thumbprint] = credentials.certificate ?? [];
  if (id !== undefined) return untrusted(id);
  if (thumbprint !== undefined) return h("code", {}, "…", lastFour(thumbprint));
  return h("span", { class: "aside" }, "none");
}

export async function showBackends(view) {
  const list = h("div", { class: "list" });
  const load = async () => {
    const backends = await all(path("backends"));
    if (backends.length === 0) {
      list.replaceChildren(h("p", { class: "empty" }, "There are no backends yet."));
      return;
    }
    const shown = backends.map(({ name, properties }) => [
      untrusted(name),
      [untrusted(properties.url), properties.description && h("p", { class: "hint" }, untrusted(properties.description))],
      verification(properties),
      certificate(properties),
      h(
        "div",
        { class: "row-actions" },
        h("button", { type: "button", class: "small dangerous-quiet", click: () => view.trying(() => remove(name)) }, "Delete", h("span", { class: "visually-hidden" }, " ", untrusted(name))),
      ),
    ]);
    list.replaceChildren(table("Backends", ["Id", "URL", "Verification", "Certificate", "Actions"], shown));
  };
  const remove = async (id) => {
    const { body, etag } = await callApi("GET", path("backends", id));
    const isDeleted = await openForm({
      title: ["Delete ", untrusted(id), "?"],
      content: h("p", {}, "Policies will no longer be able to refer to the backend ", untrusted(body.properties.url), " by this id."),
      action: "Yes, delete it",
      cancel: "No, keep it",
      isDangerous: true,
      async submit({ showError }) {
        try {
          await callApi("DELETE", path("backends", id), { etag });
          return true;
        } catch (problem) {
          if (!showDeletionError(problem, showError)) throw problem;
          return false;
        }
      },
    });
    if (!isDeleted) return;
    await load();
    view.heading.focus();
    announce(`${id} was deleted.`);
  };
  view.show(
    view.heading,
    h("p", { class: "lead" }, "Backends that policies select with set-backend-service. An API with reduced backend verification has its own backend, with the API's id. Manage other backends with the REST API."),
    list,
  );
  await load();
}
