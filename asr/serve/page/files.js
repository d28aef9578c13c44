// Files and folders that are dropped or chosen.

import { byId } from "./dom.js";

const KINDS = /\.(wav|wave|flac|mp3|mp2|ogg|oga|opus|m4a|m4b|mp4|m4v|mov|aac|webm|mkv|avi|wma|aif|aiff|aifc|au|snd|sph|amr|3gp|caf|w64|rf64)$/i;

/** Whether a file of a folder is taken for a recording. */
const isRecording = (file) => /^(audio|video)\//.test(file.type) || KINDS.test(file.name);

/**
 * Return the files of a drop, those in folders included.
 *
 * @returns {Promise<{files: File[], others: string[]}>} `others`: names of files of folders that are no recordings
 */
async function droppedFiles(transfer) {
  // entries are gone after the first await
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  const [files, others] = [[], []];
  for (const [entry, file] of entries) {
    if (entry?.isDirectory) await walk(entry, "", files, others);
    else if (file) files.push(file);
  }
  return { files, others };
}

async function walk(folder, above, files, others) {
  const path = `${above}${folder.name}/`;
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  for (const entry of entries) {
    if (entry.isDirectory) await walk(entry, path, files, others);
    else {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      file.path = path + file.name;
      if (isRecording(file)) files.push(file);
      else if (!file.name.startsWith(".")) others.push(file.path);
    }
  }
}

/** Return the files of an input for folders, in the same form. */
function chosenFiles(input) {
  const all = [...input.files].sort((a, b) => a.webkitRelativePath.localeCompare(b.webkitRelativePath, "en", { numeric: true }));
  const isHidden = (file) => file.name.startsWith(".");
  return {
    files: all.filter((file) => isRecording(file) && !isHidden(file)),
    others: all.filter((file) => !isRecording(file) && !isHidden(file)).map((file) => file.webkitRelativePath),
  };
}

/** Call `onFiles` with what is chosen or dropped, as `droppedFiles` returns it, or `onError` with a message. */
export function bindFiles(onFiles, onError) {
  for (const [button, input] of [["choose-files", "files"], ["choose-folder", "folder"]]) {
    byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", ({ target }) => {
      onFiles(input === "folder" ? chosenFiles(target) : { files: [...target.files] });
      target.value = ""; // so that the same file can be chosen again
    });
  }
  let depth = 0; // of elements that something is dragged over
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const show = (isOver) => (byId("drop").hidden = !isOver);
  addEventListener("dragenter", (event) => hasFiles(event) && show(++depth > 0));
  addEventListener("dragleave", (event) => hasFiles(event) && show(--depth > 0));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    try {
      onFiles(await droppedFiles(event.dataTransfer));
    } catch (error) {
      onError(`The files cannot be read: ${error.message}`);
    }
  });
}

/** Return a WAV file of 16-bit PCM, mono. */
export function wav(pieces, rate, name) {
  const size = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, value) => [...value].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // channels
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, size, true);
  return new File([head, ...pieces], name, { type: "audio/wav" });
}
