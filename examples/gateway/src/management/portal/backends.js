// The page of the backends that policies can name: made by scripts, or with the security of an API.

import { all, ask, path } from "./api.js";
import { lastFour } from "./certificates.js";
import { openForm } from "./dialog.js";
import { foreign, h, say, table } from "./dom.js";
import { isPlain } from "./effective.js";
import { refuseDeletion } from "./used-by.js";

/** What is said of a backend that was made for the choices on an API's page. */
export const madeFor = (apiId) => `Made for the API '${apiId}' with its security.`;

/** Whether a backend was: what others made under the id of an API is theirs. */
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
  if (id !== undefined) return foreign(id);
  if (thumbprint !== undefined) return h("code", {}, "…", lastFour(thumbprint));
  return h("span", { class: "aside" }, "none");
}

export async function showBackends(view) {
  const list = h("div", { class: "list" });
  const load = async () => {
    const backEnds = await all(path("backends"));
    if (backEnds.length === 0) {
      list.replaceChildren(h("p", { class: "empty" }, "There is no backend yet."));
      return;
    }
    const shown = backEnds.map(({ name, properties }) => [
      foreign(name),
      [foreign(properties.url), properties.description && h("p", { class: "hint" }, foreign(properties.description))],
      verification(properties),
      certificate(properties),
      h(
        "div",
        { class: "row-actions" },
        h("button", { type: "button", class: "small dangerous-quiet", click: () => view.trying(() => remove(name)) }, "Delete", h("span", { class: "unseen" }, " ", foreign(name))),
      ),
    ]);
    list.replaceChildren(table("Backends", ["Id", "URL", "Verification", "Certificate", "Actions"], shown));
  };
  const remove = async (id) => {
    const { body, etag } = await ask("GET", path("backends", id));
    const isDeleted = await openForm({
      title: ["Delete ", foreign(id), "?"],
      content: h("p", {}, "Policies will not be able to name the backend ", foreign(body.properties.url), " by this id any more."),
      action: "Yes, delete it",
      cancel: "No, keep it",
      isDangerous: true,
      async submit({ refuse }) {
        try {
          await ask("DELETE", path("backends", id), { etag });
          return true;
        } catch (problem) {
          if (!refuseDeletion(problem, refuse)) throw problem;
          return false;
        }
      },
    });
    if (!isDeleted) return;
    await load();
    view.heading.focus();
    say(`${id} was deleted.`);
  };
  view.show(
    view.heading,
    h("p", { class: "lead" }, "What policies name by set-backend-service. An API whose backend is not verified has one of its own, with the API's id. Scripts make and change others."),
    list,
  );
  await load();
}
