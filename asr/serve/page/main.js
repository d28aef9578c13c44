// The page: connects the recordings, the player, the waveform, the words and the keys.

import * as api from "./api.js";
import { announce, byId, clearNotices, clock, confirmed, count, dismiss, notify } from "./dom.js";
import { bindExport, copied, openExport, saved } from "./export.js";
import { bindFiles } from "./files.js";
import { bindKeys, showKeys } from "./keyboard.js";
import { failureOf, List, showProgress, stateOf } from "./list.js";
import { Microphone } from "./microphone.js";
import { peaksOf } from "./peaks.js";
import { Player } from "./player.js";
import { Recordings } from "./recordings.js";
import { Search } from "./search.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

const JUMP = 5; // seconds
const recordings = new Recordings(() => ({ model: byId("model").value, prompt: byId("hot-words").value.trim() }));
const list = new List();
const player = new Player(byId("audio"));
const timeline = new Timeline(byId("timeline"), byId("overview"), byId("detail"), (time) => player.seek(time));
const transcript = new Transcript(byId("transcript"));
const search = new Search(transcript);
let open = null; // the recording that is shown
let microphone = null; // while it is on
let doubtful = []; // numbers of words

const threshold = () => byId("threshold").valueAsNumber / 100;

// ---- which recording is shown

function show(recording) {
  if (open !== recording) transcript.commit();
  const isOther = open !== recording;
  open = recording;
  list.select(recording);
  byId("welcome").hidden = recording !== null;
  byId("work").hidden = recording === null;
  document.title = recording ? `${recording.name} · asr` : "asr · transcripts";
  if (!recording) return player.load("");
  if (isOther) {
    byId("name").textContent = recording.name;
    byId("word-facts").textContent = ""; // of the recording that was shown before
    if (recording.state === "failed") dismiss(recording); // the reason is shown below its name
    player.load(recording.url);
    transcript.focused = 0;
    draw(recording);
  }
  showState();
  showWords();
}

/** Show the words of the open recording, after they have changed. */
function showWords() {
  const isDone = open.state === "done";
  for (const id of ["copy", "export", "tools"]) byId(id).hidden = !isDone;
  for (const id of ["undo", "redo"]) byId(id).hidden = !isDone;
  byId("again").hidden = !isDone;
  byId("undo").disabled = !open.canUndo;
  byId("redo").disabled = !open.canRedo;
  showPlayer();
  byId("transcript").hidden = !isDone && !open.isLive && !open.words.length;
  byId("player").classList.toggle("is-live", open.isLive);
  if (open.isLive) showLive();
  else transcript.show(open);
  timeline.show(open);
  showDoubtful();
  search.run(open, recordings.items, list);
  showTime();
}

/** Show the player, unless there is nothing to play: the last words are awaited, or it is no recording. */
function showPlayer() {
  byId("player").hidden = open?.state === "finishing" || (open?.state === "failed" && !player.isPlayable);
}

function showState() {
  const { state, message } = open;
  const isDone = state === "done";
  byId("state").hidden = isDone;
  byId("state").dataset.state = state;
  byId("state-text").textContent = state === "failed" ? message : stateOf(open);
  byId("retry").hidden = state !== "failed";
  byId("stop").hidden = state !== "listening";
  showProgress(byId("progress"), open);
  const facts = [clock(open.duration)];
  if (isDone) {
    facts.push(count(open.words.length, "word"));
    const { confidence } = open.transcript;
    if (confidence !== null) facts.push(`mean confidence ${Math.round(100 * confidence)} %`);
    if (!open.isSaved) facts.push("edits not saved yet");
  }
  byId("facts").textContent = isDone || open.duration ? facts.join(" · ") : "";
}

function showDoubtful() {
  const value = threshold();
  byId("threshold-value").textContent = `${Math.round(100 * value)} %`;
  timeline.threshold = value;
  timeline.draw();
  doubtful = open?.state === "done" ? transcript.mark(value) : [];
  byId("doubt-count").textContent = doubtful.length ? count(doubtful.length, "word") : "none";
  for (const id of ["doubt-before", "doubt-after"]) byId(id).disabled = !doubtful.length;
}

function goToDoubtful(direction) {
  const at = transcript.current;
  const next = direction > 0 ? doubtful.find((number) => number > at) : doubtful.findLast((number) => number < at);
  const number = next ?? doubtful.at(direction > 0 ? 0 : -1);
  if (number !== undefined) transcript.focus(number);
}

async function draw(recording) {
  if (recording.peaks !== undefined || !recording.file) return;
  recording.peaks = null; // while it is computed
  recording.peaks = await peaksOf(recording.file, recording.duration || player.duration);
  if (recording.peaks && !recording.duration) recording.duration = recording.peaks.duration;
  if (recording === open) {
    timeline.show(recording);
    showTime();
  }
}

// ---- time

function showTime() {
  if (!open) return;
  const { time } = player;
  if (!open.duration && player.duration) {
    open.duration = player.duration;
    timeline.show(open);
  }
  timeline.setTime(time);
  byId("position").textContent = clock(time);
  byId("length").textContent = clock(open.duration);
  const slider = byId("timeline");
  slider.setAttribute("aria-valuemax", open.duration.toFixed(2));
  slider.setAttribute("aria-valuenow", time.toFixed(2));
  slider.setAttribute("aria-valuetext", `${clock(time, 1)} of ${clock(open.duration, 1)}`);
  if (open.state !== "done") return;
  const number = player.sounding(open.words);
  transcript.sound(number, player.isPlaying);
  if (number >= 0) showFacts(number);
}

function showFacts(number) {
  const word = open.words[number];
  if (!word) return;
  const sure = word.edited ? "edited" : `confidence ${Math.round(100 * word.confidence)} %`;
  byId("word-facts").textContent = `${word.text} · ${word.start.toFixed(2)} to ${word.end.toFixed(2)} s · ${sure}`;
}

function hear(number, alone = false) {
  const word = open?.words[number];
  if (!word) return;
  showFacts(number);
  if (player.isPlayable) player.playWord(word, alone);
  else timeline.setTime(word.start);
}

player.addEventListener("time", showTime);
player.addEventListener("state", () => {
  const { isPlaying, isPlayable } = player;
  byId("play-icon").setAttribute("href", isPlaying ? "#i-pause" : "#i-play");
  byId("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
  for (const id of ["play", "back", "ahead"]) byId(id).disabled = !isPlayable;
  showPlayer();
  showTime();
});
player.addEventListener("unplayable", () => {
  byId("word-facts").textContent = "This browser cannot play the recording. The transcript is not affected.";
});

// ---- edits and files

function changed(text) {
  showState();
  showWords();
  recordings.update(open);
  announce(text);
}

transcript.addEventListener("rewrite", ({ detail: { paragraph, text } }) => {
  const isOther = open.rewrite(paragraph, text);
  changed(isOther ? "Text kept." : "Nothing changed.");
});
transcript.addEventListener("hear", ({ detail }) => hear(detail.number, detail.alone));
transcript.addEventListener("edit", () => player.takeBack());
transcript.addEventListener("focus", ({ detail }) => player.isPlaying || showFacts(detail));

function undo(isRedo) {
  if (open?.state !== "done") return;
  open[isRedo ? "redo" : "undo"]();
  changed(isRedo ? "Redone." : "Undone.");
}

async function save(recording, format) {
  if (recording === open) transcript.commit();
  if (await saved(recording, format)) recordings.update(recording);
}

async function saveAll() {
  for (const recording of recordings.items) if (recording.state === "done") await save(recording, "txt");
}

function copy() {
  transcript.commit();
  copied(open.text);
}

// ---- recordings that come and go

function add({ files, others = [] }) {
  clearNotices(); // of files before; which of them failed is in the list
  const [empty, full] = [files.filter((file) => !file.size), files.filter((file) => file.size)];
  if (empty.length) notify(`Left out, as empty: ${empty.map((file) => file.name).join(", ")}`);
  if (others.length) {
    const rest = others.length > 3 ? `, … (${count(others.length, "file")})` : "";
    notify(`Left out, as no recording by its name: ${others.slice(0, 3).join(", ")}${rest}`);
  }
  if (!full.length) return;
  const [first] = recordings.add(full);
  if (!open || open.state === "done" || open.state === "failed") show(first);
}

async function remove(recording) {
  if (!recording.isSaved && !(await confirmed(`The edits of ${recording.name} are not in a file yet.`, "Remove it"))) return;
  const at = recordings.items.indexOf(recording);
  recordings.remove(recording);
  dismiss(recording);
  if (open === recording) show(recordings.items[Math.min(at, recordings.items.length - 1)] ?? null);
}

recordings.addEventListener("list", () => {
  list.show(recordings.items);
  list.select(open);
  showAll();
});
recordings.addEventListener("change", ({ detail: { recording, isNews } }) => {
  list.show(recordings.items);
  list.update(recording);
  showAll();
  if (isNews && recording.state === "done") announce(`${recording.name}: ${stateOf(recording)}`);
  if (isNews && recording.state === "failed") notify(failureOf(recording), recording);
  if (recording !== open) return;
  showState();
  if (isNews) showWords();
});

function showAll() {
  byId("export-all").hidden = recordings.items.filter((item) => item.state === "done").length < 2;
}

// ---- microphone

async function toggleMicrophone() {
  if (microphone) return stopListening();
  clearNotices();
  player.pause();
  const source = new Microphone(byId("hot-words").value.trim());
  microphone = source;
  try {
    await source.start();
  } catch (error) {
    source.abandon();
    if (microphone !== source) return; // it is not wanted any more
    microphone = null;
    notify(error.message);
    return;
  }
  if (microphone !== source) {
    source.abandon(); // turned off before the browser gave it
    return;
  }
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  const recording = recordings.addLive(`microphone-${time}.wav`);
  source.recording = recording;
  recording.microphone = source;
  source.addEventListener("level", () => showLevel(source));
  source.addEventListener("words", () => recording === open && recording.isLive && showLive());
  source.addEventListener("problem", ({ detail }) => notify(detail));
  pressMicrophone(true);
  show(recording);
  announce("The microphone is on.");
}

function pressMicrophone(isOn) {
  byId("microphone").setAttribute("aria-pressed", String(isOn));
  byId("microphone").querySelector("span").textContent = isOn ? "Stop" : "Microphone";
  byId("microphone").querySelector("use").setAttribute("href", isOn ? "#i-stop" : "#i-microphone");
}

function showLive() {
  const texts = (words) => words.map((word) => word.text).join(" ");
  transcript.showLive(texts(open.microphone.committed), texts(open.microphone.partial));
}

function showLevel(source) {
  if (source.recording !== open) return;
  open.duration = source.duration;
  byId("length").textContent = clock(open.duration);
  byId("facts").textContent = clock(open.duration);
  timeline.showLevels(source.levels);
}

async function stopListening() {
  const source = microphone;
  microphone = null;
  pressMicrophone(false);
  const { recording } = source;
  if (!recording) return;
  announce("The microphone is off.");
  recordings.update(recording, { state: "finishing" });
  const { file, words } = await source.stop(recording.name);
  Object.assign(recording, { file, duration: source.duration, microphone: null });
  if (words) {
    recording.fill(words, source.duration);
    recordings.update(recording, { state: "done" });
  } else recordings.send(recording);
  if (recording === open) {
    player.load(recording.url);
    draw(recording);
  }
}

// ---- events of the page

bindFiles(add, notify);
list.addEventListener("open", ({ detail }) => show(detail));
list.addEventListener("remove", ({ detail }) => remove(detail));

const actions = {
  toggle: () => open && player.isPlayable && player.toggle(),
  back: () => player.seek(player.time - JUMP),
  ahead: () => player.seek(Math.min(player.time + JUMP, open?.duration ?? 0)),
  repeat: () => hear(transcript.current, true),
  slower: () => setSpeed(-1),
  faster: () => setSpeed(1),
  doubtAfter: () => goToDoubtful(1),
  doubtBefore: () => goToDoubtful(-1),
  search: () => byId("query").focus(),
  edit: () => open?.state === "done" && transcript.editAt(transcript.current),
  choose: () => byId("files").click(),
  microphone: toggleMicrophone,
  export: () => open?.state === "done" && openExport(),
  copy: () => open?.state === "done" && copy(),
  zoomIn: () => timeline.zoom(1),
  zoomOut: () => timeline.zoom(-1),
  help: () => byId("help").showModal(),
  undo: () => undo(false),
  redo: () => undo(true),
  go: (step) => show(recordings.items[recordings.items.indexOf(open) + step] ?? open),
};
const buttons = {
  play: "toggle", back: "back", ahead: "ahead", "zoom-in": "zoomIn", "zoom-out": "zoomOut", microphone: "microphone", stop: "microphone",
  "doubt-before": "doubtBefore", "doubt-after": "doubtAfter", undo: "undo", redo: "redo", copy: "copy", "show-help": "help",
};
for (const [id, action] of Object.entries(buttons)) byId(id).addEventListener("click", () => actions[action]());
for (const id of ["retry", "again"]) byId(id).addEventListener("click", () => sendAgain());
byId("export-all").addEventListener("click", saveAll);
bindExport((format) => save(open, format));
byId("threshold").addEventListener("input", showDoubtful);
byId("speed").addEventListener("change", ({ target }) => (player.speed = Number(target.value)));
byId("timeline").addEventListener("keydown", (event) => {
  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };
  if (!(event.key in steps) || event.altKey) return;
  event.preventDefault();
  player.seek(Math.max(0, Math.min(open.duration, player.time + steps[event.key])));
});
addEventListener("beforeunload", (event) => {
  if (recordings.isBusy || recordings.items.some((item) => !item.isSaved)) event.preventDefault();
});

async function sendAgain() {
  if (!open.isSaved && !(await confirmed(`The edits of ${open.name} will be replaced.`, "Replace them"))) return;
  clearNotices();
  recordings.send(open);
}

function setSpeed(step) {
  const field = byId("speed");
  field.selectedIndex = Math.max(0, Math.min(field.options.length - 1, field.selectedIndex + step));
  player.speed = Number(field.value);
}

async function showModels() {
  const field = byId("model");
  try {
    const names = await api.models();
    field.replaceChildren(...names.map((name) => new Option(name)));
    field.disabled = names.length < 2;
  } catch (error) {
    notify(error.message);
  }
}

byId("host").textContent = location.host;
showKeys();
bindKeys(actions);
showModels();
