// Azure's SDK for JavaScript, unmodified, manages certificates, APIs, policies and upstreams.
//
// Run by the test `azures_sdk_for_javascript_manages_everything`, with the gateway's address, its files and an upstream's
// URL as arguments, where the SDK is installed.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { ApiManagementClient } from "@azure/arm-apimanagement";

const [url, folder, backEnd] = process.argv.slice(2);
const where = ["group", "gateway"];
const read = (name) => fs.readFileSync(path.join(folder, name));
const token = read("management.token").toString().trim();
const credential = { getToken: async () => ({ token, expiresOnTimestamp: 4102444800000 }) };
const client = new ApiManagementClient(credential, "00000000-0000-0000-0000-000000000000", { endpoint: url });

// What an operation returns, with the answer as it came.
async function whole(operation) {
  let response;
  const found = await operation({ onResponse: (raw) => (response = raw) });
  return { found, etag: response.headers.get("etag"), text: response.bodyAsText };
}

async function refused(status, part, operation) {
  try {
    await operation();
  } catch (error) {
    assert.equal(error.statusCode, status, error);
    assert.ok(`${error.message} ${error.response?.bodyAsText}`.includes(part), error.message);
    return error;
  }
  assert.fail(`not refused: ${operation}`);
}

async function all(pages) {
  const names = [];
  for await (const one of pages) names.push(one.name);
  return names;
}

function pfx(name) {
  return { data: read(`${name}.pfx`).toString("base64"), password: read(`${name}.password`).toString().trim() };
}

// Certificates.
const certificates = client.certificate;
await refused(400, "password", () =>
  certificates.createOrUpdate(...where, "chosen", { ...pfx("orders"), password: "wrong" }),
);
const made = await certificates.createOrUpdate(...where, "chosen", pfx("orders"));
assert.equal(made.subject, "CN=orders-gateway, O=Contoso");
const first = (await certificates.getEntityTag(...where, "chosen")).eTag;
assert.equal((await certificates.get(...where, "chosen")).eTag, first);
const updated = await certificates.createOrUpdate(...where, "chosen", pfx("billing"), { ifMatch: first });
assert.equal(updated.subject, "CN=billing-gateway, O=Contoso");
await refused(412, "If-Match", () => certificates.createOrUpdate(...where, "chosen", pfx("orders"), { ifMatch: first }));
const caller = { data: read("client.pem").toString("base64"), password: "" };
const odd = "it's (odd)! ~100%/b";
await certificates.createOrUpdate(...where, odd, caller);
assert.equal((await certificates.get(...where, odd)).name, odd);
for (let number = 0; number < 250; number += 1) {
  await certificates.createOrUpdate(...where, `caller-${String(number).padStart(3, "0")}`, caller);
}
const list = (filter, options) => all(certificates.listByService(...where, { filter, ...options }));
assert.equal((await list()).length, 252);
assert.equal((await list("startswith(name,'caller-')")).length, 250);
assert.deepEqual(await list(`endswith(thumbprint,'${updated.thumbprint.slice(-4)}')`), ["chosen"]);
for (const [operator, expected] of [["eq", 1], ["ne", 0], ["ge", 1], ["le", 1], ["gt", 0], ["lt", 0]]) {
  for (const [field, value] of [["name", "chosen"], ["subject", updated.subject], ["thumbprint", updated.thumbprint]]) {
    const found = (await list(`${field} ${operator} '${value}'`)).includes("chosen");
    assert.equal(found, expected === 1, `${field} ${operator}`);
  }
  const end = updated.expirationDate.toISOString().replace(".000Z", "Z");
  assert.equal((await list(`expirationDate ${operator} ${end}`)).includes("chosen"), expected === 1, operator);
}
assert.deepEqual(await list("substringof('hos',name) and contains(subject,'billing')"), ["chosen"]);
await refused(400, "the field issuer", () => list("issuer eq 'x'"));

// APIs.
const contract = { displayName: "Orders", path: "orders-js", serviceUrl: backEnd, protocols: ["https"] };
const api = await client.api.beginCreateOrUpdateAndWait(...where, "orders", contract);
assert.deepEqual([api.name, api.path, api.serviceUrl], ["orders", "orders-js", backEnd]);
await refused(409, "open", () =>
  client.api.beginCreateOrUpdateAndWait(...where, "other", { ...contract, path: "open" }),
);
const { etag } = await whole((options) => client.api.get(...where, "orders", options));
const renamed = await client.api.update(...where, "orders", etag, { displayName: "Renamed" });
assert.deepEqual([renamed.displayName, renamed.path], ["Renamed", "orders-js"]);
await refused(412, "If-Match", () => client.api.update(...where, "orders", etag, { displayName: "x" }));
assert.deepEqual(await all(client.api.listByService(...where)), ["orders", "file!!open"]);

// Upstreams.
const backEndMade = await client.backend.createOrUpdate(...where, "orders-v2", {
  url: backEnd,
  protocol: "http",
  tls: { validateCertificateChain: false },
});
assert.equal(backEndMade.tls.validateCertificateChain, false);
assert.deepEqual(await all(client.backend.listByService(...where)), ["orders-v2"]);

// Policies. The SDK reads this response as XML, so the body is checked.
const raw =
  '<policies><inbound><choose><when condition="@(context.Request.Certificate == null || ' +
  'context.Request.Certificate.Thumbprint != "AB")"><return-response><set-status code="403" /></return-response>' +
  '</when></choose><set-backend-service backend-id="orders-v2" /><authentication-certificate certificate-id="chosen" />' +
  "</inbound></policies>";
const put = await whole((options) =>
  client.apiPolicy.createOrUpdate(...where, "orders", "policy", { format: "rawxml", value: raw }, options),
);
assert.equal(JSON.parse(put.text).properties.value, raw);
for (const format of ["rawxml", "xml"]) {
  const got = await whole((options) => client.apiPolicy.get(...where, "orders", "policy", { format, ...options }));
  const { properties } = JSON.parse(got.text);
  assert.equal(properties.format, format);
  assert.equal(properties.value.includes("&quot;AB&quot;"), format === "xml");
  assert.equal(got.etag, put.etag);
  const again = { format, value: properties.value };
  await client.apiPolicy.createOrUpdate(...where, "orders", "policy", again, { ifMatch: "*" });
  put.etag = (await client.apiPolicy.getEntityTag(...where, "orders", "policy")).eTag;
}
await refused(400, "line 1, column 20: <cors>", () =>
  client.apiPolicy.createOrUpdate(
    ...where, "orders", "policy",
    { format: "xml", value: "<policies><inbound><cors /></inbound></policies>" }, { ifMatch: "*" },
  ),
);

// What is in use stays; the rest goes.
await refused(400, "is used by the following entities", () => certificates.delete(...where, "chosen", "*"));
await refused(400, "is used by the following entities", () => client.backend.delete(...where, "orders-v2", "*"));
await refused(412, "If-Match", () => certificates.delete(...where, "caller-000", first));
await client.apiPolicy.delete(...where, "orders", "policy", "*");
await client.backend.delete(...where, "orders-v2", "*");
await (client.api.beginDeleteAndWait ?? client.api.delete).call(client.api, ...where, "orders", "*");
await certificates.delete(...where, odd, "*");
await certificates.delete(...where, "chosen", "*");
assert.equal((await list()).length, 250);
console.log("the SDK is content");
