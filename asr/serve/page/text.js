// Words and paragraphs: pure functions, without the page.

const PAUSE = 1.2; // seconds between words that begin a new paragraph
const LONG = 70; // words after which a paragraph ends with the next sentence
const LONGEST = 140;

/**
 * @typedef {{text: string, start: number, end: number, confidence: number, edited?: boolean}} Word
 * Times are in seconds; a word that a person wrote has confidence 1 and is `edited`.
 */

/** Return the words of the server's verbose JSON. */
export function wordsOf(answer) {
  return (answer.words ?? [])
    .map((word) => ({
      text: String(word.word ?? word.text).trim(),
      start: word.start,
      end: word.end,
      confidence: word.confidence ?? word.probability ?? 1,
    }))
    .filter((word) => word.text);
}

/** Divide words into paragraphs: at long pauses, and at sentences where there is none for long. */
export function paragraphsOf(words) {
  const paragraphs = [];
  let current = [];
  for (const word of words) {
    const last = current.at(-1);
    const isEnd = last && /[.?!…]["'”’»)\]]*$/.test(last.text);
    if (last && (word.start - last.end > PAUSE || (current.length >= LONG && isEnd) || current.length >= LONGEST)) {
      paragraphs.push(current);
      current = [];
    }
    current.push(word);
  }
  if (current.length) paragraphs.push(current);
  return paragraphs;
}

/** Return the text of words. */
export const textOf = (words) => words.map((word) => word.text).join(" ");

/** Return the mean confidence of words, null without any. */
export const meanConfidence = (words) =>
  words.length ? words.reduce((sum, word) => sum + word.confidence, 0) / words.length : null;

/** Return the number of the word that sounds at a time, or -1; short gaps belong to the word before them. */
export function wordAt(words, time, gap = 0.15) {
  let [low, high] = [0, words.length]; // the first word that starts after `time` is in [low, high]
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low && time < words[low - 1].end + gap ? low - 1 : -1;
}

/** Return a text as search compares it: without case, accents and punctuation. */
export const folded = (text) =>
  text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();

/** Return the matches of a query, as numbers of their first and last words. */
export function matches(words, query) {
  const wanted = folded(query);
  if (!wanted) return [];
  const owner = []; // of each character of the joined text, the number of its word
  let text = "";
  words.forEach((word, number) => {
    const own = folded(word.text);
    if (!own) return;
    if (text) {
      text += " ";
      owner.push(number);
    }
    text += own;
    for (let i = 0; i < own.length; i++) owner.push(number);
  });
  const found = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
    found.push([owner[at], owner[at + wanted.length - 1]]);
  }
  return found;
}
