// The list of certificates: upload, details, deletion.

import { callApi, follow, path } from "./api.js";
import { openForm } from "./dialog.js";
import { untrusted, h, announce, table } from "./dom.js";
import { openUpload } from "./upload.js";
import { showDeletionError, users } from "./used-by.js";

const PAGE = 50;
const DAY = 24 * 60 * 60 * 1000;
const SOON = 30;

const day = (text) => text.slice(0, 10);
const moment = (text) => `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

/** Returns the last four digits of a thumbprint. */
export const lastFour = (thumbprint) => thumbprint.slice(-4);

/** Returns the kind of badge (null: none) and the text for a certificate's remaining validity. */
export function lasting({ notBefore, expirationDate }, now) {
  const left = Date.parse(expirationDate) - now;
  const days = Math.floor(Math.abs(left) / DAY);
  if (left < 0) return ["error", days === 0 ? "expired today" : `expired ${count(days, "day", "days")} ago`];
  if (notBefore && Date.parse(notBefore) > now) return ["warning", `not valid before ${day(notBefore)}`];
  if (days > SOON) return [null, `in ${days} days`];
  return ["warning", days === 0 ? "expires within a day" : `expires in ${count(days, "day", "days")}`];
}

function expiry(properties, now) {
  const [kind, words] = lasting(properties, now);
  const date = h("time", { datetime: properties.expirationDate }, day(properties.expirationDate));
  return kind ? [date, " ", h("span", { class: `badge ${kind}` }, words)] : [date, " ", h("span", { class: "aside" }, words)];
}

/** Builds the OData filter: part of an id or subject, or the end of a thumbprint. */
export function filterOf(text) {
  const search = text.trim();
  if (!search) return null;
  const quoted = `'${search.replaceAll("'", "''")}'`;
  const conditions = [`contains(subject,${quoted})`, `contains(name,${quoted})`];
  if (/^[0-9a-f: ]+$/i.test(search) && /[0-9a-f]/i.test(search)) conditions.push(`endswith(thumbprint,${quoted})`);
  return conditions.join(" or ");
}

export async function showCertificates(view) {
  const list = h("div", { class: "list" });
  const filter = h("input", {
    type: "search",
    id: "filter",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "filter-hint",
  });
  let current = null;

  /** Shows the page that a request returns. A newer request cancels older ones. `back`: requests of the previous pages. */
  const load = async (request, back = []) => {
    current?.abort();
    const mine = new AbortController();
    current = mine;
    list.setAttribute("aria-busy", "true");
    try {
      const page = await request(mine.signal);
      if (current === mine) list.replaceChildren(...rows(page, request, back));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      throw problem;
    } finally {
      if (current === mine) list.removeAttribute("aria-busy");
    }
  };
  const first = () => {
    const query = { $top: String(PAGE) };
    const condition = filterOf(filter.value);
    if (condition) query.$filter = condition;
    return load((signal) => callApi("GET", path("certificates"), { query, signal }));
  };

  const rows = ({ body, now }, request, back) => {
    const reload = () => view.trying(() => load(request, back));
    if (body.value.length === 0) {
      if (back.length > 0) return [h("p", { class: "empty" }, "There are no more certificates."), pager(body, request, back)];
      return [
        filter.value.trim()
          ? h("p", { class: "empty" }, "No certificate matches this filter.")
          : h("p", { class: "empty" }, "The store is empty. Upload a client identity (.pfx) or a caller's certificate."),
      ];
    }
    const headings = ["Id", "Subject", "Thumbprint", "Expires", "Private key", "Used by", "Actions"];
    const shown = body.value.map(({ name, properties }) => [
      untrusted(name),
      untrusted(properties.subject),
      h("code", {}, h("span", { "aria-hidden": "true" }, "…"), lastFour(properties.thumbprint)),
      expiry(properties, now),
      properties.hasPrivateKey ? "Yes" : "No",
      properties.usedBy.length > 0 ? users(properties.usedBy) : h("span", { class: "aside" }, "not used"),
      h(
        "div",
        { class: "row-actions" },
        h("button", { type: "button", class: "small", click: () => view.trying(() => details(name, reload)) }, "Details", h("span", { class: "visually-hidden" }, " of ", untrusted(name))),
        h("button", { type: "button", class: "small dangerous-quiet", click: () => view.trying(() => remove(name, reload)) }, "Delete", h("span", { class: "visually-hidden" }, " ", untrusted(name))),
      ),
    ]);
    return [table("Certificates", headings, shown), pager(body, request, back)];
  };

  const pager = (body, request, back) => {
    const from = back.length * PAGE + 1;
    const range = body.value.length > 0 ? `${from} to ${from + body.value.length - 1} of ${body.count}` : "";
    const turn = (label, next, nextBack) =>
      h("button", {
        type: "button",
        class: "small",
        click: () =>
          view.trying(async () => {
            await load(next, nextBack);
            view.heading.focus();
          }),
      }, label);
    return h(
      "nav",
      { class: "pager", "aria-label": "Pages of the list" },
      h("p", { class: "aside" }, range),
      back.length > 0 && turn("Previous page", back.at(-1), back.slice(0, -1)),
      body.nextLink && turn("Next page", (signal) => follow(body.nextLink, { signal }), [...back, request]),
    );
  };

  const upload = async (replaced, reload) => {
    const id = await openUpload(replaced);
    if (id === null) return;
    await reload();
    announce(`${id} was uploaded and is in effect for new requests.`);
  };

  const details = async (name, reload) => {
    const { body, etag, now } = await callApi("GET", path("certificates", name));
    const { properties } = body;
    const facts = [
      ["Subject", untrusted(properties.subject)],
      ["Issuer", untrusted(properties.issuer)],
      ["Valid from", moment(properties.notBefore)],
      ["Expires", [moment(properties.expirationDate), " (", lasting(properties, now)[1], ")"]],
      ["SHA-1 thumbprint", h("code", {}, properties.thumbprint)],
      ["SHA-256 thumbprint", h("code", {}, properties.sha256Thumbprint)],
      ["Private key", properties.hasPrivateKey ? "Yes (client identity)" : "No (caller's certificate)"],
      ["Used by", properties.usedBy.length > 0 ? users(properties.usedBy) : "not used"],
      ["Uploaded", moment(properties.created)],
      ["Changed", moment(properties.updated)],
    ];
    const wantsToReplace = await openForm({
      title: untrusted(name),
      content: h("dl", { class: "facts" }, facts.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])),
      action: "Replace…",
      cancel: "Close",
      submit: async () => true,
    });
    if (wantsToReplace) await upload({ name, etag }, reload);
  };

  const remove = async (name, reload) => {
    const { body, etag } = await callApi("GET", path("certificates", name));
    const { subject, thumbprint, hasPrivateKey } = body.properties;
    const isDeleted = await openForm({
      title: ["Delete ", untrusted(name), "?"],
      content: h(
        "p",
        {},
        ...[untrusted(subject), ", thumbprint …", h("code", {}, lastFour(thumbprint)), ", will be deleted"],
        hasPrivateKey ? " together with its private key." : ".",
      ),
      action: "Yes, delete it",
      cancel: "No, keep it",
      isDangerous: true,
      async submit({ showError }) {
        try {
          await callApi("DELETE", path("certificates", name), { etag });
          return true;
        } catch (problem) {
          if (!showDeletionError(problem, showError)) throw problem;
          return false;
        }
      },
    });
    if (!isDeleted) return;
    await reload();
    view.heading.focus();
    announce(`${name} was deleted.`);
  };

  filter.addEventListener("input", () => view.trying(first));
  view.show(
    h(
      "div",
      { class: "title" },
      view.heading,
      h("button", { type: "button", class: "primary", click: () => view.trying(() => upload(null, first)) }, "Upload certificate"),
    ),
    h("p", { class: "lead" }, "Client identities for calls to backends, and certificates of callers. Changes apply to new requests."),
    h(
      "form",
      { class: "search", role: "search", submit: (event) => event.preventDefault() },
      h("label", { for: "filter" }, "Filter"),
      filter,
      h("p", { class: "hint", id: "filter-hint" }, "Part of an id or subject, or the last digits of a thumbprint"),
    ),
    list,
  );
  await first();
}
