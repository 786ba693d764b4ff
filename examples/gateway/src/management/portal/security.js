// The Security tab of an API: its client certificate towards the backend, stored in the policy as
// <authentication-certificate>, and the verification of the backend, stored as <set-backend-service> with a backend.

import { ApiError, all, apiItem, callApi, getOrNull, messagesOf, path } from "./api.js";
import { isMadeFor, madeFor } from "./backends.js";
import { lasting, lastFour } from "./certificates.js";
import { field, untrusted, h, notice, radios, announce, visible } from "./dom.js";
import { BACKEND, IDENTITY, callersOf, isExpression, isPlain, isUnverified, targetOf } from "./effective.js";
import { effective, read, write } from "./policy-text.js";

const VALIDATION = "validate-client-certificate";

const TRUST = {
  full: { validateCertificateChain: true, validateCertificateName: true },
  name: { validateCertificateChain: false, validateCertificateName: true },
  chain: { validateCertificateChain: true, validateCertificateName: false },
  none: { validateCertificateChain: false, validateCertificateName: false },
};

/** Returns the verification choice of a backend; both default to verified. */
function trustOf(backend) {
  const { validateCertificateChain: chain = true, validateCertificateName: name = true } = backend?.body.properties.tls ?? {};
  const equals = (tls) => tls.validateCertificateChain === chain && tls.validateCertificateName === name;
  return Object.keys(TRUST).find((key) => equals(TRUST[key]));
}

/** Returns whether the policy of an API refers to the backend that this tab created. */
export function usesOwnBackend(xml, id) {
  return read(xml, BACKEND).direct?.["backend-id"] === id;
}

/** Formats the certificate reference of an element or a backend. */
function nameOf({ "certificate-id": id, thumbprint, body }, stored) {
  if (id !== undefined && !isExpression(id)) {
    return stored.some(({ name }) => name === id) ? visible(id) : `${visible(id)} (gateway.toml)`;
  }
  if (thumbprint === undefined || isExpression(thumbprint)) return body === undefined ? "the certificate of an expression" : "an embedded certificate";
  const digits = thumbprint.replace(/[: ]/g, "").toUpperCase();
  const found = stored.find(({ properties }) => [properties.thumbprint, properties.sha256Thumbprint].includes(digits));
  return found ? visible(found.name) : `…${visible(lastFour(digits))}`;
}

/** Describes the certificate in effect if the API's own policy does not set one directly: label, hint, and whether there is none. */
function inheritedCredential(effect, target, stored) {
  const rest = effective(effect.own, effect.globalPolicy, IDENTITY, true);
  if (rest.depends === "own") return ["Selected by conditions in the policy", "The conditions select a certificate, or none."];
  if (rest.depends === "global") return ["Selected by conditions in the global policy", "The conditions select a certificate, or none."];
  if (rest.attributes) return [`Global policy: ${nameOf(rest.attributes, stored)}`, "Set by authentication-certificate in the global policy."];
  const credentialOf = ({ credentials = {} } = {}) => {
    const [id] = credentials.certificateIds ?? [];
    const [thumbprint] = credentials.certificate ?? [];
    return id === undefined && thumbprint === undefined ? null : { "certificate-id": id, thumbprint };
  };
  const credential = credentialOf(target.properties);
  if (credential) return [`Backend ${visible(target.id)}: ${nameOf(credential, stored)}`, "Set in the credentials of the backend."];
  if (target.kind === "depends" && effect.backends.some(({ properties }) => credentialOf(properties))) {
    return ["Selected by the backend", "The policy selects the backend, which can have a certificate."];
  }
  return ["None", "No client certificate is presented to the backend.", true];
}

/** Shows the callers, and offers to require certificates if anyone can call. */
function callersSection(view, id, effect, policyPath, reload) {
  const who = callersOf(effect);
  const problems = h("div");
  const requireCertificate = async () => {
    problems.replaceChildren();
    const value = write(effect.own, VALIDATION, { "validate-revocation": "false" });
    try {
      await callApi("PUT", policyPath, { body: { properties: { format: "xml", value } }, etag: effect.etag });
    } catch (problem) {
      problems.replaceChildren(rejection(problem, id, reload, view));
      return;
    }
    await reload();
    announce("Saved. Callers must now present a certificate.");
  };
  const button = h("button", { type: "button", click: () => view.trying(requireCertificate), "aria-describedby": "require-hint" }, "Require a certificate");
  const offer = [
    notice("warning", h("p", {}, h("strong", {}, "Anyone can call this API."), " The policies accept callers without a certificate.")),
    read(effect.own, VALIDATION).direct === null && [
      h("div", { class: "actions" }, button),
      h("p", { class: "hint", id: "require-hint" }, "Adds <validate-client-certificate> to this API's policy: the caller's certificate must be issued by a CA of [apis] trust in gateway.toml. Revocation is not checked."),
    ],
  ];
  const warnings = effect.warnings.filter((warning) => /anyone('s| can)/.test(warning));
  const checkedBy = {
    own: "The policy of this API checks the caller's certificate.",
    global: "The global policy checks the caller's certificate.",
  };
  return h(
    "section",
    { class: "sheet" },
    h("h2", {}, "Callers"),
    who === "anyone" ? offer : h("p", {}, checkedBy[who], " ", h("a", { href: who === "global" ? "#/policy" : `#/apis/${encodeURIComponent(id)}/policy` }, "View policy")),
    warnings.length > 0 && notice("warning", h("p", {}, "Warnings about this policy:"), h("ul", {}, warnings.map((warning) => h("li", {}, untrusted(warning))))),
    problems,
  );
}

/** Formats the error of a rejected change; rethrows other errors. */
function rejection(problem, id, reload, view) {
  if (problem.status === 412) {
    return notice("error", h("p", {}, "The policy or the backend of this API was changed by someone else."), h("button", { type: "button", click: () => view.trying(reload) }, "Show current version"));
  }
  if (problem.status !== 400) throw problem;
  return notice("error", h("p", {}, "The change was rejected."), h("ul", {}, messagesOf(problem, apiItem(id)).map((message) => h("li", {}, untrusted(message)))));
}

/** Shows the tab. `reload` reloads the page of the API. */
export async function showSecurity(view, element, api, effect, reload) {
  const id = api.body.name;
  const policyPath = path("apis", id, "policies", "policy");
  const [backend, stored] = await Promise.all([
    effect.backends.some(({ name }) => name === id) ? getOrNull(path("backends", id)) : null,
    all(path("certificates")),
  ]);
  const xml = effect.own;
  const identity = read(xml, IDENTITY);
  const target = read(xml, BACKEND);
  const effectiveTarget = targetOf(effect, api.body.properties.serviceUrl);
  const isOpen = callersOf(effect) === "anyone";
  const identities = stored.filter((certificate) => certificate.properties.hasPrivateKey);
  const notices = [];

  // Client certificate.
  const { "certificate-id": named, thumbprint } = identity.direct ?? {};
  const byThumbprint = thumbprint && identities.find((one) => one.properties.thumbprint === thumbprint.replace(/[: ]/g, "").toUpperCase());
  const chosenId = named !== undefined && !isExpression(named) ? named : byThumbprint?.name;
  const isOther = identity.direct !== null && chosenId === undefined;
  if (byThumbprint) notices.push(notice("note", h("p", {}, "The policy refers to the certificate by its thumbprint. Saving replaces it by the id, which does not change when the certificate is renewed.")));
  if (identity.elsewhere) notices.push(notice("note", h("p", {}, "Conditions in the policy also select certificates; see the policy.")));
  if (identity.direct !== null && effective(xml, effect.globalPolicy, IDENTITY).scope === "global") {
    notices.push(notice("warning", h("p", {}, "The global policy presents another certificate: <base /> follows the element that is set here.")));
  }
  const [inheritedLabel, inheritedHint, isNothing = false] = inheritedCredential(effect, effectiveTarget, stored);
  const credentials = radios(
    "Gateway credentials",
    [
      ["none", inheritedLabel, inheritedHint],
      ["certificate", "Client certificate", "The gateway presents this certificate to the backend."],
      ...(isOther ? [["other", "Set by the policy", "Its authentication-certificate is an expression, or a thumbprint that is not in the store."]] : []),
    ],
    identity.direct === null ? "none" : isOther ? "other" : "certificate",
  );
  const now = api.now;
  const options = identities.map(({ name, properties }) => {
    const [kind, words] = lasting(properties, now);
    return h("option", { value: name }, visible(`${name} - ${properties.subject} (…${lastFour(properties.thumbprint)})`), kind ? `, ${words}` : "");
  });
  // The policy can refer to existing certificates only, so this one is in gateway.toml.
  const isOfFile = chosenId !== undefined && !identities.some((one) => one.name === chosenId);
  if (isOfFile) {
    options.unshift(h("option", { value: chosenId }, visible(`${chosenId} (gateway.toml)`)));
  }
  const select = h("select", {}, h("option", { value: "" }, options.length > 0 ? "Choose a certificate" : "The store has no certificate with a private key"), options);
  select.value = chosenId ?? "";
  const hint = "Certificates with a private key: id, subject and last four digits of the thumbprint.";
  const certificate = field("Certificate", select, isOfFile ? [hint, " ", h("strong", {}, untrusted(chosenId)), " is an identity of gateway.toml, not of the store."] : hint);
  const exposure = h("div", { "aria-live": "polite" });
  const enable = () => {
    const choice = credentials.value();
    certificate.element.hidden = choice !== "certificate";
    certificate.clearError();
    const isExposed = isOpen && (choice === "none" ? !isNothing : choice === "other" || select.value !== "");
    const who = choice === "certificate" ? ["as ", untrusted(select.value)] : "with a certificate of the gateway";
    exposure.replaceChildren(isExposed ? notice("warning", h("p", {}, "Anyone can call this API and reach the backend ", who, ". Require a certificate of callers unless this is intended.")) : "");
  };
  for (const input of [...credentials.inputs, select]) input.addEventListener("change", enable);
  enable();

  // Verification of the backend.
  const isOwn = target.direct?.["backend-id"] === id;
  const isElsewhere = (target.direct !== null && !isOwn) || target.elsewhere;
  const trust = radios(
    "Certificate of the backend",
    [
      ["full", "Verify", "It must chain to a trusted CA and match the backend's host name."],
      ["name", "Do not verify the chain", "For self-signed certificates. Anyone can create one with this name."],
      ["chain", "Do not verify the name", "Any holder of a certificate from a trusted CA can impersonate the backend."],
      ["none", "Verify neither", "Anyone on the network path can impersonate the backend."],
    ],
    isOwn ? trustOf(backend) : "full",
  );
  const trustWarning = h("div", { "aria-live": "polite" });
  const warnOfTrust = () => {
    const isOff = trust.value() !== "full";
    trustWarning.replaceChildren(isOff ? notice("warning", h("p", {}, "The backend is not verified: an attacker on the network path can impersonate it, and read and change all requests.")) : "");
  };
  for (const input of trust.inputs) input.addEventListener("change", warnOfTrust);
  warnOfTrust();
  trust.element.append(trustWarning);
  if (isPlain(effectiveTarget.url)) {
    notices.push(notice("warning", h("p", {}, "The backend is called over plain http: it is not authenticated, and anyone on the network path can read and change requests.")));
  } else if (isElsewhere && isUnverified(effectiveTarget.properties)) {
    notices.push(notice("warning", h("p", {}, "Backend ", untrusted(effectiveTarget.id), ", which the policy selects, is not verified: an attacker on the network path can impersonate it.")));
  }
  if (isElsewhere) notices.push(notice("note", h("p", {}, "The policy selects the backend, and with it the verification of its certificate; see the policy.")));
  if (isOwn && backend && backend.body.properties.url !== api.body.properties.serviceUrl) {
    notices.push(notice("warning", h("p", {}, "The policy sends requests to ", untrusted(backend.body.properties.url), ", not to the API's backend URL. Saving a change of the verification corrects this.")));
  }

  const problems = h("div");
  // The stored backend, which a partly failed save has changed.
  let written = backend;
  const putBackend = async () => {
    const properties = { description: madeFor(id), ...backend?.body.properties, url: api.body.properties.serviceUrl, protocol: "http", tls: TRUST[trust.value()] };
    written = await callApi("PUT", path("backends", id), { body: { properties }, etag: written?.etag });
  };
  const removeBackend = async () => {
    await callApi("DELETE", path("backends", id), { etag: written.etag });
    written = null;
  };
  let isBusy = false;
  const save = async () => {
    if (isBusy) return;
    problems.replaceChildren();
    certificate.clearError();
    const choice = credentials.value();
    if (choice === "certificate" && !select.value) {
      certificate.showError("Choose a certificate.");
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
      if (wantsOwn && !isOwn && backend && !isMadeFor(id, backend.body.properties)) {
        const others = `A backend '${id}' already exists that the portal did not create. Refer to it in the policy, or delete it first.`;
        throw new ApiError(0, "", others);
      }
      if (wantsOwn) await putBackend();
      try {
        if (changed !== xml) {
          await callApi("PUT", policyPath, { body: { properties: { format: "xml", value: changed } }, etag: effect.etag });
        }
      } catch (problem) {
        // The new backend is not referenced.
        if (wantsOwn && !backend) await removeBackend();
        throw problem;
      }
      if (isOwn && !wantsOwn && written) await removeBackend();
      await reload();
      view.content.querySelector("button.primary")?.focus();
      announce("Saved. The change is in effect for new requests.");
    } catch (problem) {
      problems.replaceChildren(rejection(problem, id, reload, view));
    } finally {
      isBusy = false;
    }
  };
  element.replaceChildren(
    ...notices,
    callersSection(view, id, effect, policyPath, reload),
    h(
      "form",
      { class: "sheet", novalidate: true, submit: (event) => { event.preventDefault(); view.trying(save); } },
      credentials.element,
      certificate.element,
      !isElsewhere && !isPlain(effectiveTarget.url) && trust.element,
      problems,
      h("div", { class: "actions" }, h("button", { class: "primary" }, "Save")),
    ),
  );
  credentials.element.append(certificate.element, exposure);
}
