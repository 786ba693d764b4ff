// The management API, asked with the token if it asks for one.

import { sentence } from "./dom.js";

const SERVICE =
  "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/gateway/providers/Microsoft.ApiManagement/service/gateway";
const VERSION = "2024-05-01";

// The only place where the token is kept.
let token = "";
let asking = null;
let askForToken = async () => "";
let tokenChanged = () => {};

/** An answer that says no. */
export class Problem extends Error {
  constructor(status, code, message, details = []) {
    super(message);
    Object.assign(this, { status, code, details });
  }
}

/** All that a problem says, as sentences; of what is `item`'s, such as "the API 'shop'", that is not said again. */
export function messagesOf(problem, item) {
  const messages = problem.details?.length > 0 ? problem.details.map((detail) => detail.message) : [problem.message];
  return messages.map((message) => sentence(message.startsWith(`${item}: `) ? message.slice(item.length + 2) : message));
}

/** As the gateway's messages call an API. */
export const apiItem = (id) => `the API '${id}'`;

/** Nobody wanted to enter the token. */
export class Locked extends Error {}

/** How a token is asked for: the function is given another that tries one. `changed` is told whether one is known. */
export function askTokenBy(ask, changed) {
  askForToken = ask;
  tokenChanged = changed;
}

export function forgetToken() {
  token = "";
  tokenChanged(false);
}

/** Path of a resource: segments that others chose become one segment each. */
export function path(...segments) {
  if (segments.some((segment) => segment === "." || segment === "..")) {
    throw new Problem(0, "", "Browsers cannot name an id that is . or ..; use gateway certificates on the command line.");
  }
  return `${SERVICE}/${segments.map(encodeURIComponent).join("/")}`;
}

async function send(method, url, { etag, body, signal } = {}, withToken = token) {
  const headers = { Accept: "application/json" };
  if (withToken) headers.Authorization = `Bearer ${withToken}`;
  if (etag) headers["If-Match"] = etag;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { method, headers, signal, cache: "no-store", redirect: "error", mode: "same-origin" };
  try {
    return await fetch(url, { ...options, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "", "The gateway cannot be reached.");
  }
}

/** True: it is the token; false: it is not. */
async function tryToken(candidate) {
  if (!/^[!-~]+$/.test(candidate)) return false;
  const url = `${path("certificates")}?api-version=${VERSION}&$top=1`;
  const response = await send("GET", url, {}, candidate);
  if (response.status === 401) return false;
  token = candidate;
  tokenChanged(true);
  return true;
}

/** Asks once, however many requests are waiting for it. */
async function wantToken() {
  asking ??= askForToken(tryToken).finally(() => {
    asking = null;
  });
  if (!(await asking)) throw new Locked("The token is not known.");
}

async function problemOf(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Not every answer has a body.
  }
  const { code, message, details } = body?.error ?? {};
  if (message) return new Problem(response.status, code, message, details ?? []);
  if (response.status === 403) {
    return new Problem(403, "", "The gateway wants a client certificate here, and your browser showed none that it admits.");
  }
  return new Problem(response.status, "", `The gateway answered ${response.status}.`);
}

/** Asks, for the token too if it has to be. Answers with the body, the ETag and the gateway's time. */
async function askUrl(method, url, options) {
  let sentToken = token;
  let response = await send(method, url, options);
  while (response.status === 401) {
    // While this one was on its way, another may have learned it.
    if (token === sentToken) await wantToken();
    sentToken = token;
    response = await send(method, url, options);
  }
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  const date = Date.parse(response.headers.get("Date") ?? "");
  return {
    status: response.status,
    body: text ? JSON.parse(text) : null,
    etag: response.headers.get("ETag"),
    now: Number.isNaN(date) ? Date.now() : date,
  };
}

/** Asks about the resource at this path, made by `path`. Options: query, etag, body, signal. */
export function ask(method, resource, { query = {}, ...options } = {}) {
  const search = new URLSearchParams({ "api-version": VERSION, ...query });
  return askUrl(method, `${resource}?${search}`, options);
}

/** The same, and null if there is no such resource. */
export async function askFor(resource, query = {}) {
  try {
    return await ask("GET", resource, { query });
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

/** Follows a link to another page of a list; the token goes nowhere else. */
export function follow(link, options) {
  const url = new URL(link, location.href);
  if (url.origin !== location.origin) throw new Problem(0, "", "The link to the next page leads elsewhere.");
  return askUrl("GET", url.href, options);
}

/** All entries of a list. */
export async function all(resource) {
  let page = await ask("GET", resource, { query: { $top: "1000" } });
  const entries = [...page.body.value];
  while (page.body.nextLink) {
    page = await follow(page.body.nextLink);
    entries.push(...page.body.value);
  }
  return entries;
}
