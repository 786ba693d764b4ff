// The page of the certificates: what is in the store, upload, details, delete.

import { ask, follow, path } from "./api.js";
import { openForm } from "./dialog.js";
import { foreign, h, say, table } from "./dom.js";
import { openUpload } from "./upload.js";
import { refuseDeletion, users } from "./used-by.js";

const PAGE = 50;
const DAY = 24 * 60 * 60 * 1000;
const SOON = 30;

const day = (text) => text.slice(0, 10);
const moment = (text) => `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

/** Last four of a thumbprint, as people tell certificates apart. */
export const lastFour = (thumbprint) => thumbprint.slice(-4);

/** How long a certificate lasts, in words: kind and text; kind null: long enough. */
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

/** What to search for: in ids and subjects, and thumbprints that end so. */
export function filterOf(text) {
  const sought = text.trim();
  if (!sought) return null;
  const quoted = `'${sought.replaceAll("'", "''")}'`;
  const conditions = [`contains(subject,${quoted})`, `contains(name,${quoted})`];
  if (/^[0-9a-f: ]+$/i.test(sought) && /[0-9a-f]/i.test(sought)) conditions.push(`endswith(thumbprint,${quoted})`);
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
  let asked = null;

  /** Shows the page that a request answers with; of several only the one asked for last. `back`: requests of pages before. */
  const load = async (request, back = []) => {
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    list.setAttribute("aria-busy", "true");
    try {
      const page = await request(mine.signal);
      if (asked === mine) list.replaceChildren(...rows(page, request, back));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      throw problem;
    } finally {
      if (asked === mine) list.removeAttribute("aria-busy");
    }
  };
  const first = () => {
    const query = { $top: String(PAGE) };
    const wanted = filterOf(filter.value);
    if (wanted) query.$filter = wanted;
    return load((signal) => ask("GET", path("certificates"), { query, signal }));
  };

  const rows = ({ body, now }, request, back) => {
    const reload = () => view.trying(() => load(request, back));
    if (body.value.length === 0) {
      if (back.length > 0) return [h("p", { class: "empty" }, "There is nothing more here."), pager(body, request, back)];
      return [
        filter.value.trim()
          ? h("p", { class: "empty" }, "No certificate has this in its id or subject, or at the end of its thumbprint.")
          : h("p", { class: "empty" }, "The store is empty. Upload a .pfx file for an identity of the gateway's, or the certificate of a caller."),
      ];
    }
    const headings = ["Id", "Subject", "Thumbprint", "Expires", "Private key", "Used by", "Actions"];
    const shown = body.value.map(({ name, properties }) => [
      foreign(name),
      foreign(properties.subject),
      h("code", {}, h("span", { "aria-hidden": "true" }, "…"), lastFour(properties.thumbprint)),
      expiry(properties, now),
      properties.hasPrivateKey ? "Yes" : "No",
      properties.usedBy.length > 0 ? users(properties.usedBy) : h("span", { class: "aside" }, "nothing"),
      h(
        "div",
        { class: "row-actions" },
        h("button", { type: "button", class: "small", click: () => view.trying(() => details(name, reload)) }, "Details", h("span", { class: "unseen" }, " of ", foreign(name))),
        h("button", { type: "button", class: "small dangerous-quiet", click: () => view.trying(() => remove(name, reload)) }, "Delete", h("span", { class: "unseen" }, " ", foreign(name))),
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
    say(`${id} is in the store. Every request from now on sees it.`);
  };

  const details = async (name, reload) => {
    const { body, etag, now } = await ask("GET", path("certificates", name));
    const { properties } = body;
    const facts = [
      ["Subject", foreign(properties.subject)],
      ["Issuer", foreign(properties.issuer)],
      ["Valid from", moment(properties.notBefore)],
      ["Expires", [moment(properties.expirationDate), " (", lasting(properties, now)[1], ")"]],
      ["SHA-1 thumbprint", h("code", {}, properties.thumbprint)],
      ["SHA-256 thumbprint", h("code", {}, properties.sha256Thumbprint)],
      ["Private key", properties.hasPrivateKey ? "Yes: an identity of the gateway's" : "No: a caller's certificate"],
      ["Used by", properties.usedBy.length > 0 ? users(properties.usedBy) : "nothing"],
      ["Uploaded", moment(properties.created)],
      ["Changed", moment(properties.updated)],
    ];
    const wantsToReplace = await openForm({
      title: foreign(name),
      content: h("dl", { class: "facts" }, facts.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])),
      action: "Replace…",
      cancel: "Close",
      submit: async () => true,
    });
    if (wantsToReplace) await upload({ name, etag }, reload);
  };

  const remove = async (name, reload) => {
    const { body, etag } = await ask("GET", path("certificates", name));
    const { subject, thumbprint, hasPrivateKey } = body.properties;
    const isDeleted = await openForm({
      title: ["Delete ", foreign(name), "?"],
      content: h(
        "p",
        {},
        ...[foreign(subject), ", thumbprint …", h("code", {}, lastFour(thumbprint)), ", will be gone at once"],
        hasPrivateKey ? ", and its private key with it." : ".",
      ),
      action: "Yes, delete it",
      cancel: "No, keep it",
      isDangerous: true,
      async submit({ refuse }) {
        try {
          await ask("DELETE", path("certificates", name), { etag });
          return true;
        } catch (problem) {
          if (!refuseDeletion(problem, refuse)) throw problem;
          return false;
        }
      },
    });
    if (!isDeleted) return;
    await reload();
    view.heading.focus();
    say(`${name} was deleted.`);
  };

  filter.addEventListener("input", () => view.trying(first));
  view.show(
    h(
      "div",
      { class: "title" },
      view.heading,
      h("button", { type: "button", class: "primary", click: () => view.trying(() => upload(null, first)) }, "Upload certificate"),
    ),
    h("p", { class: "lead" }, "Identities with which the gateway calls backends, and the certificates of callers. A change is in effect for every request that starts after it."),
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
