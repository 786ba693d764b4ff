// Navigation: shows the page for the fragment of the address.

import { Locked, onTokenRequired, forgetToken } from "./api.js";
import { showApi, showApis } from "./apis.js";
import { showBackends } from "./backends.js";
import { showCertificates } from "./certificates.js";
import { promptForToken, closeDialogs } from "./dialog.js";
import { untrusted, h, notice, announce, announcePending, visible } from "./dom.js";
import { showServicePolicy } from "./policy.js";

const main = document.getElementById("main");
const lock = document.getElementById("lock");

const PAGES = { certificates: showCertificates, apis: showApis, backends: showBackends, policy: showServicePolicy };
const TITLES = { certificates: "Certificates", apis: "APIs", backends: "Backends", policy: "Global policy" };

let shown = null;

/** A page: its heading, content and error. */
class View {
  constructor(title) {
    this.heading = h("h1", { tabindex: "-1" });
    this.name(title);
    this.problem = h("div");
    this.content = h("div", {}, this.heading);
    this.isOver = false;
  }

  /** Sets the title. */
  name(title) {
    this.heading.replaceChildren(untrusted(title));
    document.title = `${visible(title)} – Gateway`;
  }

  /** Replaces the content, unless another page is shown meanwhile. */
  show(...content) {
    if (!this.isOver) this.content.replaceChildren(...content);
  }

  /** Runs an action and shows its error. */
  async trying(action) {
    announce("");
    this.problem.replaceChildren();
    try {
      await action();
    } catch (problem) {
      if (this.isOver) return;
      if (problem instanceof Locked) showLocked();
      else this.problem.replaceChildren(notice("error", h("p", {}, untrusted(problem.message))));
    }
    // The focused element can be gone.
    if (!this.isOver && document.activeElement === document.body) this.heading.focus();
  }
}

/** Starts a page. */
function begin(title) {
  if (shown) shown.isOver = true;
  closeDialogs();
  shown = new View(title);
  main.replaceChildren(shown.problem, shown.content);
  return shown;
}

function showLocked() {
  const view = begin("Locked");
  view.show(
    view.heading,
    h("p", { class: "lead" }, "The gateway requires its management token."),
    h("button", { type: "button", class: "primary", click: route }, "Enter the token"),
  );
  view.heading.focus();
}

async function route() {
  let parts;
  try {
    parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = [];
  }
  const [name = "certificates", id, tab] = parts;
  const page = Object.hasOwn(PAGES, name) ? name : "certificates";
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const isApi = page === "apis" && id !== undefined;
  const view = begin(isApi ? id : TITLES[page]);
  main.setAttribute("aria-busy", "true");
  await view.trying(() => (isApi ? showApi(view, id, tab) : PAGES[page](view)));
  if (view.isOver) return;
  main.removeAttribute("aria-busy");
  announcePending();
}

onTokenRequired(promptForToken, (isKnown) => {
  lock.hidden = !isKnown;
});
lock.addEventListener("click", () => {
  forgetToken();
  showLocked();
});
document.getElementById("skip").addEventListener("click", (event) => {
  // The fragment selects the page; it must not change.
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", async () => {
  await route();
  shown.heading.focus();
});
route();
