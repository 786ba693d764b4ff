// The upload form for certificates.

import { callApi, path } from "./api.js";
import { openForm } from "./dialog.js";
import { field, untrusted, h, notice, visible } from "./dom.js";

const MAX_SIZE = 1024 * 1024;

/** Derives an id from a file name. */
export function idOf(fileName) {
  const bare = fileName.replace(/\.(pfx|p12|cer|crt|der|pem)$/i, "");
  return visible(bare).replace(/[*#&+:<>?]/g, "-").trim().slice(0, 80).trim();
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/** Uploads a new certificate, or a replacement. Resolves with the id, or null if nothing was uploaded. */
export async function openUpload(replaced = null) {
  const file = field(
    "File",
    h("input", { type: "file", accept: ".pfx,.p12,.cer,.crt,.der,.pem", required: true }),
    "A client identity with its private key (.pfx), or a caller's certificate (.cer, .pem).",
  );
  const password = field(
    "Password",
    h("input", { type: "password", autocomplete: "off", spellcheck: "false" }),
    "The password of the .pfx file. It is not stored.",
  );
  const id = field(
    "Id",
    h("input", { type: "text", autocomplete: "off", spellcheck: "false", required: true, maxlength: "80" }),
    "Routes and policies refer to the certificate by this id.",
  );
  if (replaced) {
    id.input.value = replaced.name;
    id.input.readOnly = true;
  }
  let isOwnId = Boolean(replaced);
  id.input.addEventListener("input", () => {
    isOwnId = id.input.value !== "";
  });
  file.input.addEventListener("change", () => {
    file.clearError();
    if (!isOwnId) id.input.value = idOf(file.input.files[0]?.name ?? "");
  });
  let uploaded = null;
  await openForm({
    title: replaced ? ["Replace ", untrusted(replaced.name)] : "Upload a certificate",
    content: [file.element, password.element, id.element],
    action: replaced ? "Replace" : "Upload",
    async submit({ showError }) {
      for (const one of [file, password, id]) one.clearError();
      const [chosen] = file.input.files;
      const name = id.input.value.trim();
      if (!chosen) return file.showError("Choose a file.");
      if (chosen.size > MAX_SIZE) return file.showError("The file is larger than 1 MiB.");
      if (!name) return id.showError("The id is missing.");
      if (name === "." || name === "..") return id.showError("The ids . and .. are not supported. Choose another id.");
      const body = { properties: { data: await base64(chosen), password: password.input.value } };
      try {
        await callApi("PUT", path("certificates", name), { body, etag: replaced?.etag });
      } catch (problem) {
        const places = { password, data: file, id };
        const place = places[problem.details?.[0]?.target];
        if (place) place.showError(problem.message);
        else if (problem.status === 409) id.showError(problem.message);
        else if (problem.status === 412 && !replaced) {
          id.showError("A certificate with this id already exists. Choose another id, or replace the certificate from its details.");
        } else if (problem.status === 412) {
          showError(notice("error", h("p", {}, "This certificate was changed by someone else. Close this dialog and try again.")), true);
        } else throw problem;
        return false;
      }
      uploaded = name;
      return true;
    },
  });
  return uploaded;
}
