// Client of the management API. Prompts for the token when the API requires one.

import { sentence } from "./dom.js";

const SERVICE =
  "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/gateway/providers/Microsoft.ApiManagement/service/gateway";
const VERSION = "2024-05-01";

// The token is kept in memory only.
let token = "";
let pendingPrompt = null;
let promptForToken = async () => "";
let onTokenChange = () => {};

/** An error response. */
export class ApiError extends Error {
  constructor(status, code, message, details = []) {
    super(message);
    Object.assign(this, { status, code, details });
  }
}

/** Returns the messages of an error as sentences, without a leading `item`, such as "the API 'shop'". */
export function messagesOf(problem, item) {
  const messages = problem.details?.length > 0 ? problem.details.map((detail) => detail.message) : [problem.message];
  return messages.map((message) => sentence(message.startsWith(`${item}: `) ? message.slice(item.length + 2) : message));
}

/** Returns the name of an API in the gateway's messages. */
export const apiItem = (id) => `the API '${id}'`;

/** The prompt for the token was cancelled. */
export class Locked extends Error {}

/** Sets the prompt, which receives a function that tries a token, and a listener that is called with whether a token is known. */
export function onTokenRequired(prompt, listener) {
  promptForToken = prompt;
  onTokenChange = listener;
}

export function forgetToken() {
  token = "";
  onTokenChange(false);
}

/** Returns the path of a resource; each segment is encoded. */
export function path(...segments) {
  if (segments.some((segment) => segment === "." || segment === "..")) {
    throw new ApiError(0, "", "Browsers cannot address the ids . and ..; use the command gateway certificates.");
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
    throw new ApiError(0, "", "The gateway cannot be reached.");
  }
}

/** Tries a token and keeps it if it is valid; returns whether it is. */
async function tryToken(candidate) {
  if (!/^[!-~]+$/.test(candidate)) return false;
  const url = `${path("certificates")}?api-version=${VERSION}&$top=1`;
  const response = await send("GET", url, {}, candidate);
  if (response.status === 401) return false;
  token = candidate;
  onTokenChange(true);
  return true;
}

/** Prompts for the token; concurrent requests share one prompt. */
async function obtainToken() {
  pendingPrompt ??= promptForToken(tryToken).finally(() => {
    pendingPrompt = null;
  });
  if (!(await pendingPrompt)) throw new Locked("The token is missing.");
}

async function errorOf(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Some responses have no body.
  }
  const { code, message, details } = body?.error ?? {};
  if (message) return new ApiError(response.status, code, message, details ?? []);
  if (response.status === 403) {
    return new ApiError(403, "", "The gateway requires a client certificate. Your browser presented none that it admits.");
  }
  return new ApiError(response.status, "", `The gateway responded with status ${response.status}.`);
}

/** Sends a request, and prompts for the token if required. Returns the body, the ETag and the gateway's time. */
async function callUrl(method, url, options) {
  let sentToken = token;
  let response = await send(method, url, options);
  while (response.status === 401) {
    // Another request can have obtained the token meanwhile.
    if (token === sentToken) await obtainToken();
    sentToken = token;
    response = await send(method, url, options);
  }
  if (!response.ok) throw await errorOf(response);
  const text = await response.text();
  const date = Date.parse(response.headers.get("Date") ?? "");
  return {
    status: response.status,
    body: text ? JSON.parse(text) : null,
    etag: response.headers.get("ETag"),
    now: Number.isNaN(date) ? Date.now() : date,
  };
}

/** Calls the API for a resource, whose path is built by `path`. Options: query, etag, body, signal. */
export function callApi(method, resource, { query = {}, ...options } = {}) {
  const search = new URLSearchParams({ "api-version": VERSION, ...query });
  return callUrl(method, `${resource}?${search}`, options);
}

/** Gets a resource; null if it does not exist. */
export async function getOrNull(resource, query = {}) {
  try {
    return await callApi("GET", resource, { query });
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

/** Follows a link to another page of a list. Links to other origins are rejected, to protect the token. */
export function follow(link, options) {
  const url = new URL(link, location.href);
  if (url.origin !== location.origin) throw new ApiError(0, "", "The link to the next page leads to another site.");
  return callUrl("GET", url.href, options);
}

/** Returns all entries of a list. */
export async function all(resource) {
  let page = await callApi("GET", resource, { query: { $top: "1000" } });
  const entries = [...page.body.value];
  while (page.body.nextLink) {
    page = await follow(page.body.nextLink);
    entries.push(...page.body.value);
  }
  return entries;
}
