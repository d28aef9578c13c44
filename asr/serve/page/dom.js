// Small helpers for elements, times and messages.

/** Return the element with an id. */
export const byId = (id) => document.getElementById(id);

/** Make an element: properties are set on it, those with a dash as attributes; children are elements or text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** Make an icon of the sprite in index.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Format seconds as 1:02:03 or 2:03, with decimals if asked for. */
export function clock(seconds, decimals = 0) {
  const scale = 10 ** decimals;
  const units = Math.floor(Math.max(0, seconds) * scale + 1e-6);
  const whole = Math.floor(units / scale);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const head = hours ? `${hours}:${String(minutes).padStart(2, "0")}` : `${minutes}`;
  const tail = decimals ? `.${String(units % scale).padStart(decimals, "0")}` : "";
  return `${head}:${String(rest).padStart(2, "0")}${tail}`;
}

/** Return a count with its noun: "1 word", "2 words". */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

const announced = []; // messages of the next frame

/** Tell screen readers a short message; nothing is shown. Messages at the same time are told one after the other. */
export function announce(text) {
  announced.push(text);
  if (announced.length > 1) return;
  const place = byId("announcer");
  place.textContent = "";
  requestAnimationFrame(() => (place.textContent = announced.splice(0).join(" ")));
}

/** Show a message until it is dismissed; the same message is shown once. `about` is what `dismiss` knows it by. */
export function notify(text, about = null) {
  const place = byId("notices");
  for (const notice of place.children) if (notice.dataset.text === text) return;
  const close = make("button", { type: "button", className: "icon", "aria-label": "Dismiss" }, icon("close"));
  const notice = make("div", { className: "notice", about }, make("p", {}, text), close);
  notice.dataset.text = text;
  close.addEventListener("click", () => notice.remove());
  place.append(notice);
}

/** Remove the messages about something. */
export function dismiss(about) {
  for (const notice of [...byId("notices").children]) if (notice.about === about) notice.remove();
}

/** Remove all messages. */
export const clearNotices = () => byId("notices").replaceChildren();

/** Ask a question; resolves to whether the answer is yes. */
export function confirmed(question, yes) {
  const dialog = byId("confirm");
  byId("confirm-text").textContent = question;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Save a blob as a file of the user's. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
