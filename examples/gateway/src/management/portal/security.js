// As whom an API calls its backend, and what it wants of the backend's certificate. The first becomes part of the
// API's policy as <authentication-certificate>, the second as <set-backend-service> that names a backend.

import { Problem, all, apiItem, ask, askFor, messagesOf, path } from "./api.js";
import { isMadeFor, madeFor } from "./backends.js";
import { lasting, lastFour } from "./certificates.js";
import { field, foreign, h, notice, radios, say, visible } from "./dom.js";
import { BACKEND, IDENTITY, callersOf, isExpression, isPlain, isUnverified, targetOf } from "./effective.js";
import { effective, read, write } from "./policy-text.js";

const DEMAND = "validate-client-certificate";

const TRUST = {
  full: { validateCertificateChain: true, validateCertificateName: true },
  name: { validateCertificateChain: false, validateCertificateName: true },
  chain: { validateCertificateChain: true, validateCertificateName: false },
  none: { validateCertificateChain: false, validateCertificateName: false },
};

/** Which of the choices a backend stands for; what is left out is verified. */
function trustOf(backEnd) {
  const { validateCertificateChain: chain = true, validateCertificateName: name = true } = backEnd?.body.properties.tls ?? {};
  const equals = (tls) => tls.validateCertificateChain === chain && tls.validateCertificateName === name;
  return Object.keys(TRUST).find((key) => equals(TRUST[key]));
}

/** Whether the policy of an API names the backend that this page keeps for it. */
export function usesOwnBackend(xml, id) {
  return read(xml, BACKEND).direct?.["backend-id"] === id;
}

/** A certificate that an element or a backend names, as people call it. */
function nameOf({ "certificate-id": id, thumbprint, body }, stored) {
  if (id !== undefined && !isExpression(id)) {
    return stored.some(({ name }) => name === id) ? visible(id) : `${visible(id)} (gateway.toml)`;
  }
  if (thumbprint === undefined || isExpression(thumbprint)) return body === undefined ? "what its expression says" : "a certificate of its own";
  const digits = thumbprint.replace(/[: ]/g, "").toUpperCase();
  const found = stored.find(({ properties }) => [properties.thumbprint, properties.sha256Thumbprint].includes(digits));
  return found ? visible(found.name) : `…${visible(lastFour(digits))}`;
}

/** What the backend sees if the API's own policy shows it nothing outright: label, hint, and whether that is nothing. */
function otherwise(effect, target, stored) {
  const rest = effective(effect.own, effect.above, IDENTITY, true);
  if (rest.depends === "own") return ["As conditions in the policy say", "They choose a certificate, or none."];
  if (rest.depends === "above") return ["As conditions in the policy of all APIs say", "They choose a certificate, or none."];
  if (rest.attributes) return [`The policy of all APIs shows ${nameOf(rest.attributes, stored)}`, "By its authentication-certificate."];
  const credentialOf = ({ credentials = {} } = {}) => {
    const [id] = credentials.certificateIds ?? [];
    const [thumbprint] = credentials.certificate ?? [];
    return id === undefined && thumbprint === undefined ? null : { "certificate-id": id, thumbprint };
  };
  const credential = credentialOf(target.properties);
  if (credential) return [`Backend ${visible(target.id)} shows ${nameOf(credential, stored)}`, "What is set for the backend."];
  if (target.kind === "depends" && effect.backEnds.some(({ properties }) => credentialOf(properties))) {
    return ["What the chosen backend shows", "The policy chooses the backend, and with it the certificate that is set for it, or none."];
  }
  return ["None", "The backend sees no client certificate.", true];
}

/** Who may call, and a way to demand certificates if that is anybody. */
function whoMayCall(view, id, effect, policyPath, reload) {
  const who = callersOf(effect);
  const problems = h("div");
  const demand = async () => {
    problems.replaceChildren();
    const value = write(effect.own, DEMAND, { "validate-revocation": "false" });
    try {
      await ask("PUT", policyPath, { body: { properties: { format: "xml", value } }, etag: effect.etag });
    } catch (problem) {
      problems.replaceChildren(refusal(problem, id, reload, view));
      return;
    }
    await reload();
    say("Saved. Callers must show a certificate from now on.");
  };
  const button = h("button", { type: "button", click: () => view.trying(demand), "aria-describedby": "demand-hint" }, "Demand a certificate");
  const offer = [
    notice("warning", h("p", {}, h("strong", {}, "Anybody can call this API."), " Nothing in the policies refuses a caller without a certificate.")),
    read(effect.own, DEMAND).direct === null && [
      h("div", { class: "actions" }, button),
      h("p", { class: "hint", id: "demand-hint" }, "Puts <validate-client-certificate> into this API's policy: the caller's certificate must come from a CA of [apis] trust in gateway.toml. Revocation is not looked at."),
    ],
  ];
  const doubts = effect.warnings.filter((warning) => /anyone('s| can)/.test(warning));
  const asked = {
    own: "The policy of this API decides by the caller's certificate.",
    above: "The policy of all APIs decides by the caller's certificate.",
  };
  return h(
    "section",
    { class: "sheet" },
    h("h2", {}, "Who may call"),
    who === "anybody" ? offer : h("p", {}, asked[who], " ", h("a", { href: who === "above" ? "#/policy" : `#/apis/${encodeURIComponent(id)}/policy` }, "See it")),
    doubts.length > 0 && notice("warning", h("p", {}, "The gateway has doubts about this policy:"), h("ul", {}, doubts.map((doubt) => h("li", {}, foreign(doubt))))),
    problems,
  );
}

/** What is shown of a change that was refused; other problems are thrown on. */
function refusal(problem, id, reload, view) {
  if (problem.status === 412) {
    return notice("error", h("p", {}, "Somebody else changed the policy or the backend of this API meanwhile."), h("button", { type: "button", click: () => view.trying(reload) }, "Show what stands now"));
  }
  if (problem.status !== 400) throw problem;
  return notice("error", h("p", {}, "The gateway refused this."), h("ul", {}, messagesOf(problem, apiItem(id)).map((message) => h("li", {}, foreign(message)))));
}

/** `reload` shows all of the API's page anew. */
export async function showSecurity(view, element, api, effect, reload) {
  const id = api.body.name;
  const policyPath = path("apis", id, "policies", "policy");
  const [backEnd, stored] = await Promise.all([
    effect.backEnds.some(({ name }) => name === id) ? askFor(path("backends", id)) : null,
    all(path("certificates")),
  ]);
  const xml = effect.own;
  const identity = read(xml, IDENTITY);
  const target = read(xml, BACKEND);
  const going = targetOf(effect, api.body.properties.serviceUrl);
  const isOpen = callersOf(effect) === "anybody";
  const identities = stored.filter((certificate) => certificate.properties.hasPrivateKey);
  const notices = [];

  // As whom.
  const { "certificate-id": named, thumbprint } = identity.direct ?? {};
  const byThumbprint = thumbprint && identities.find((one) => one.properties.thumbprint === thumbprint.replace(/[: ]/g, "").toUpperCase());
  const chosenId = named !== undefined && !isExpression(named) ? named : byThumbprint?.name;
  const isOther = identity.direct !== null && chosenId === undefined;
  if (byThumbprint) notices.push(notice("note", h("p", {}, "The policy names the certificate by its thumbprint. Saving names it by its id, which stays when the certificate is renewed.")));
  if (identity.elsewhere) notices.push(notice("note", h("p", {}, "Conditions in the policy choose certificates too; see the policy.")));
  if (identity.direct !== null && effective(xml, effect.above, IDENTITY).scope === "above") {
    notices.push(notice("warning", h("p", {}, "The policy of all APIs shows another certificate: its <base /> comes after the choice that is made here.")));
  }
  const [otherwiseLabel, otherwiseHint, isNothing = false] = otherwise(effect, going, stored);
  const credentials = radios(
    "Gateway credentials",
    [
      ["none", otherwiseLabel, otherwiseHint],
      ["certificate", "Client certificate", "The gateway shows this certificate to the backend."],
      ...(isOther ? [["other", "As the policy says", "Its authentication-certificate is an expression, or names by a thumbprint what is not in the store."]] : []),
    ],
    identity.direct === null ? "none" : isOther ? "other" : "certificate",
  );
  const now = api.now;
  const options = identities.map(({ name, properties }) => {
    const [kind, words] = lasting(properties, now);
    return h("option", { value: name }, visible(`${name} - ${properties.subject} (…${lastFour(properties.thumbprint)})`), kind ? `, ${words}` : "");
  });
  // A policy names nothing that is not there.
  const isOfFile = chosenId !== undefined && !identities.some((one) => one.name === chosenId);
  if (isOfFile) {
    options.unshift(h("option", { value: chosenId }, visible(`${chosenId} (gateway.toml)`)));
  }
  const select = h("select", {}, h("option", { value: "" }, options.length > 0 ? "Choose a certificate" : "The store has no certificate with a private key"), options);
  select.value = chosenId ?? "";
  const hint = "Id, subject and last four digits of the thumbprint; only those with a private key.";
  const certificate = field("Certificate", select, isOfFile ? [hint, " ", h("strong", {}, foreign(chosenId)), " is not in the store: it is an identity of gateway.toml."] : hint);
  const lent = h("div", { "aria-live": "polite" });
  const enable = () => {
    const choice = credentials.value();
    certificate.element.hidden = choice !== "certificate";
    certificate.accept();
    const isLent = isOpen && (choice === "none" ? !isNothing : choice === "other" || select.value !== "");
    const who = choice === "certificate" ? ["as ", foreign(select.value)] : "with a certificate of the gateway's";
    lent.replaceChildren(isLent ? notice("warning", h("p", {}, "Anybody can call this API, and so reaches the backend ", who, ". Demand a certificate of callers unless that is meant.")) : "");
  };
  for (const input of [...credentials.inputs, select]) input.addEventListener("change", enable);
  enable();

  // Towards whom.
  const isOwn = target.direct?.["backend-id"] === id;
  const isElsewhere = (target.direct !== null && !isOwn) || target.elsewhere;
  const trust = radios(
    "Certificate of the backend",
    [
      ["full", "Verify it", "It must chain to a CA that the gateway trusts, and bear the backend's name."],
      ["name", "Do not verify the chain", "For a self-signed certificate. Anybody can make one with this name."],
      ["chain", "Do not verify the name", "Whoever has a certificate of a trusted CA can stand in for the backend."],
      ["none", "Verify neither", "Anybody can stand in for the backend."],
    ],
    isOwn ? trustOf(backEnd) : "full",
  );
  const poses = h("div", { "aria-live": "polite" });
  const warnOfTrust = () => {
    const isOff = trust.value() !== "full";
    poses.replaceChildren(isOff ? notice("warning", h("p", {}, "The backend is not verified: whoever stands between it and the gateway can pose as it, and reads and changes all requests.")) : "");
  };
  for (const input of trust.inputs) input.addEventListener("change", warnOfTrust);
  warnOfTrust();
  trust.element.append(poses);
  if (isPlain(going.url)) {
    notices.push(notice("warning", h("p", {}, "The backend is called over plain http: nothing proves which one it is, and everybody on the way can read and change requests.")));
  } else if (isElsewhere && isUnverified(going.properties)) {
    notices.push(notice("warning", h("p", {}, "Backend ", foreign(going.id), ", which the policy chooses, is not verified: whoever stands between it and the gateway can pose as it.")));
  }
  if (isElsewhere) notices.push(notice("note", h("p", {}, "The policy chooses the backend, and so what is wanted of its certificate; see the policy.")));
  if (isOwn && backEnd && backEnd.body.properties.url !== api.body.properties.serviceUrl) {
    notices.push(notice("warning", h("p", {}, "The policy sends requests to ", foreign(backEnd.body.properties.url), ", not to the API's backend URL. Saving with a change of trust corrects that.")));
  }

  const problems = h("div");
  // The backend as it stands, which a save that is refused half-way has changed.
  let written = backEnd;
  const putBackend = async () => {
    const properties = { description: madeFor(id), ...backEnd?.body.properties, url: api.body.properties.serviceUrl, protocol: "http", tls: TRUST[trust.value()] };
    written = await ask("PUT", path("backends", id), { body: { properties }, etag: written?.etag });
  };
  const removeBackend = async () => {
    await ask("DELETE", path("backends", id), { etag: written.etag });
    written = null;
  };
  let isBusy = false;
  const save = async () => {
    if (isBusy) return;
    problems.replaceChildren();
    certificate.accept();
    const choice = credentials.value();
    if (choice === "certificate" && !select.value) {
      certificate.refuse("Choose a certificate.");
      return;
    }
    isBusy = true;
    try {
      let changed = xml;
      if (choice !== "other") {
        changed = write(changed, IDENTITY, choice === "certificate" ? { "certificate-id": select.value } : null);
      }
      const wantsOwn = !isElsewhere && trust.value() !== "full";
      if (!isElsewhere) changed = write(changed, BACKEND, wantsOwn ? { "backend-id": id } : null);
      if (wantsOwn && !isOwn && backEnd && !isMadeFor(id, backEnd.body.properties)) {
        const others = `There is a backend '${id}' already, which was not made here. Name it in the policy, or delete it first.`;
        throw new Problem(0, "", others);
      }
      if (wantsOwn) await putBackend();
      try {
        if (changed !== xml) {
          await ask("PUT", policyPath, { body: { properties: { format: "xml", value: changed } }, etag: effect.etag });
        }
      } catch (problem) {
        // Nobody knows the backend that was made for this.
        if (wantsOwn && !backEnd) await removeBackend();
        throw problem;
      }
      if (isOwn && !wantsOwn && written) await removeBackend();
      await reload();
      view.content.querySelector("button.primary")?.focus();
      say("Saved. In effect for every request from now on.");
    } catch (problem) {
      problems.replaceChildren(refusal(problem, id, reload, view));
    } finally {
      isBusy = false;
    }
  };
  element.replaceChildren(
    ...notices,
    whoMayCall(view, id, effect, policyPath, reload),
    h(
      "form",
      { class: "sheet", novalidate: true, submit: (event) => { event.preventDefault(); view.trying(save); } },
      credentials.element,
      certificate.element,
      !isElsewhere && !isPlain(going.url) && trust.element,
      problems,
      h("div", { class: "actions" }, h("button", { class: "primary" }, "Save")),
    ),
  );
  credentials.element.append(certificate.element, lent);
}
