// Saving and copying transcripts, and the list of formats.

import * as api from "./api.js";
import { announce, byId, download, notify } from "./dom.js";

/** Save a recording's transcript as a file of the user's; resolves to whether it is saved. */
export async function saved(recording, format) {
  const name = `${recording.stem}.${format}`;
  try {
    // the text has a line for each paragraph of the page; the rest is written by the server, as `asr transcribe` does
    const isText = format === "txt";
    const text = isText ? new Blob([recording.text], { type: "text/plain" }) : await api.formatted(recording.transcript, format);
    download(text, name);
    recording.isSaved = true;
    announce(`${name} saved.`);
    return true;
  } catch (error) {
    notify(`${name} was not saved. ${error.message}`);
    return false;
  }
}

/** Copy a text. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    announce("Text copied.");
    const label = byId("copy").querySelector("span");
    label.textContent = "Copied";
    setTimeout(() => (label.textContent = "Copy"), 1500);
  } catch {
    notify("The browser did not allow copying. Select the text and copy it, or save it as a file.");
  }
}

/** Open the list of formats. */
export function openExport() {
  byId("export").open = true;
  byId("export").querySelector("button").focus();
}

/** Call a function with the format that is chosen from the list. */
export function bindExport(onFormat) {
  const menu = byId("export");
  menu.addEventListener("click", ({ target }) => {
    const { format } = target.closest("button")?.dataset ?? {};
    if (!format) return;
    menu.open = false;
    onFormat(format);
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  addEventListener("click", ({ target }) => menu.contains(target) || (menu.open = false));
}
