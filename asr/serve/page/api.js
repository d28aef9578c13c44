// The server: transcripts, models, file formats. Errors are `ServerError`s whose messages can be shown.

import { byId } from "./dom.js";

const TOKEN = "asr.token"; // key of sessionStorage: gone with the tab

/** An answer that is no success: status 0 stands for no answer at all. */
export class ServerError extends Error {
  constructor(message, status = 0, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter; // seconds
  }
}

/** Return the token that the user gave, or "". */
export const token = () => sessionStorage.getItem(TOKEN) ?? "";

let asking = null; // the dialog that is open, which all requests wait for

/** Ask for a token; resolves to whether one was given. */
export function askToken(refused) {
  asking ??= new Promise((resolve) => {
    const [dialog, field] = [byId("token"), byId("token-value")];
    byId("token-text").textContent = refused
      ? "The server does not accept this token."
      : "Whoever runs it has one. It is kept until this tab is closed.";
    field.value = "";
    dialog.returnValue = "cancel";
    dialog.showModal();
    field.focus();
    dialog.addEventListener(
      "close",
      () => {
        const given = dialog.returnValue === "use" && field.value.trim() !== "";
        if (given) sessionStorage.setItem(TOKEN, field.value.trim());
        asking = null;
        resolve(given);
      },
      { once: true },
    );
  });
  return asking;
}

const headers = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

/** Return what an answer that is no success says: OpenAI's and FastAPI's forms, or its plain text. */
function messageOf(status, body) {
  try {
    const { error, detail } = JSON.parse(body);
    if (error) return error.message ?? String(error);
    if (Array.isArray(detail)) return detail.map((item) => `${item.loc?.at(-1) ?? "request"}: ${item.msg}`).join("; ");
    if (detail) return String(detail);
  } catch {
    // not JSON
  }
  const text = body.trim();
  return text && !text.startsWith("<") && text.length < 300 ? text : `The server answered with status ${status}.`;
}

/** Fetch with the token; asks for one where the server wants it. */
async function request(path, options = {}) {
  for (;;) {
    let response;
    const sent = token();
    try {
      response = await fetch(path, { ...options, headers: { ...options.headers, ...headers() } });
    } catch {
      throw new ServerError("The server does not answer. Is it still running?");
    }
    if (response.ok) return response;
    const message = messageOf(response.status, await response.text());
    if (response.status !== 401) throw new ServerError(message, response.status);
    if (sent === token() && !(await askToken(sent !== ""))) throw new ServerError(message, 401);
  }
}

/** Return the names of the server's models. */
export async function models() {
  const response = await request("/v1/models");
  return (await response.json()).data.map((model) => model.id);
}

/** Return a transcript in a file format, as `asr transcribe --format` writes it. */
export async function formatted(transcript, format) {
  const response = await request(`/v1/format/${encodeURIComponent(format)}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(transcript),
  });
  return response.blob();
}

/**
 * Transcribe a file. Resolves to the server's verbose JSON.
 *
 * @param {File} file
 * @param {{model?: string, prompt?: string, signal: AbortSignal, onSent: (share: number) => void}} options
 *   `onSent` is told the share of the file that is sent, 1 when the server works on it.
 */
export async function transcribe(file, options) {
  for (;;) {
    const sent = token();
    try {
      return await send(file, options);
    } catch (error) {
      if (error.status !== 401) throw error;
      if (sent === token() && !(await askToken(sent !== ""))) throw error;
    }
  }
}

function send(file, { model, prompt, signal, onSent }) {
  const form = new FormData();
  if (model) form.append("model", model);
  if (prompt) form.append("prompt", prompt);
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  form.append("file", file, file.name);
  // fetch cannot tell how much of a body is sent
  const call = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    call.open("POST", "/v1/audio/transcriptions");
    for (const [name, value] of Object.entries(headers())) call.setRequestHeader(name, value);
    call.upload.addEventListener("progress", (event) => onSent(event.total ? event.loaded / event.total : 0));
    call.upload.addEventListener("load", () => onSent(1));
    call.addEventListener("load", () => {
      if (call.status !== 200) {
        const wait = Number(call.getResponseHeader("Retry-After")) || null;
        reject(new ServerError(messageOf(call.status, call.responseText), call.status, wait));
        return;
      }
      try {
        resolve(JSON.parse(call.responseText));
      } catch {
        reject(new ServerError("The server's answer is not JSON.", call.status));
      }
    });
    call.addEventListener("error", () => reject(new ServerError("The server does not answer. Is it still running?")));
    call.addEventListener("abort", () => reject(new DOMException("canceled", "AbortError")));
    if (signal.aborted) return call.abort();
    signal.addEventListener("abort", () => call.abort());
    call.send(form);
  });
}
