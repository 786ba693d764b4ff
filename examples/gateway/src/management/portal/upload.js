// The form by which a certificate comes into the store.

import { ask, path } from "./api.js";
import { openForm } from "./dialog.js";
import { field, foreign, h, notice, visible } from "./dom.js";

const LARGEST = 1024 * 1024;

/** An id after the name of a file, of the characters that ids have. */
export function idOf(fileName) {
  const bare = fileName.replace(/\.(pfx|p12|cer|crt|der|pem)$/i, "");
  return visible(bare).replace(/[*#&+:<>?]/g, "-").trim().slice(0, 80).trim();
}

async function base64(file) {
  const octets = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < octets.length; at += 0x8000) text += String.fromCharCode(...octets.subarray(at, at + 0x8000));
  return btoa(text);
}

/** Uploads a new certificate, or replaces this one. Answers with the id, or null if nothing was uploaded. */
export async function openUpload(replaced = null) {
  const file = field(
    "File",
    h("input", { type: "file", accept: ".pfx,.p12,.cer,.crt,.der,.pem", required: true }),
    "An identity of the gateway's with its private key (.pfx), or the certificate of a caller (.cer, .pem).",
  );
  const password = field(
    "Password",
    h("input", { type: "password", autocomplete: "off", spellcheck: "false" }),
    "Opens the .pfx file. It is not kept. Certificates without a private key have none.",
  );
  const id = field(
    "Id",
    h("input", { type: "text", autocomplete: "off", spellcheck: "false", required: true, maxlength: "80" }),
    "What routes and policies call it.",
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
    file.accept();
    if (!isOwnId) id.input.value = idOf(file.input.files[0]?.name ?? "");
  });
  let uploaded = null;
  await openForm({
    title: replaced ? ["Replace ", foreign(replaced.name)] : "Upload a certificate",
    content: [file.element, password.element, id.element],
    action: replaced ? "Replace" : "Upload",
    async submit({ refuse }) {
      for (const one of [file, password, id]) one.accept();
      const [chosen] = file.input.files;
      const name = id.input.value.trim();
      if (!chosen) return file.refuse("Choose a file.");
      if (chosen.size > LARGEST) return file.refuse("The file is larger than 1 MiB: this is no certificate.");
      if (!name) return id.refuse("The id is missing.");
      if (name === "." || name === "..") return id.refuse("The id is . or ..; choose another one.");
      const body = { properties: { data: await base64(chosen), password: password.input.value } };
      try {
        await ask("PUT", path("certificates", name), { body, etag: replaced?.etag });
      } catch (problem) {
        const places = { password, data: file, id };
        const place = places[problem.details?.[0]?.target];
        if (place) place.refuse(problem.message);
        else if (problem.status === 409) id.refuse(problem.message);
        else if (problem.status === 412 && !replaced) {
          id.refuse("There is a certificate with this id. Choose another id, or replace that one from its details.");
        } else if (problem.status === 412) {
          refuse(notice("error", h("p", {}, "Somebody else changed this certificate meanwhile. Close this and look again.")), true);
        } else throw problem;
        return false;
      }
      uploaded = name;
      return true;
    },
  });
  return uploaded;
}
