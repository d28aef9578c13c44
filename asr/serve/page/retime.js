// Words of an edited text with the times of the words that they replace: an alignment of the old with the new words.

/** @typedef {import("./text.js").Word} Word */

// Whole numbers, so that the sums on the way back are the same: a replaced word costs 0 (same) to 101 (nothing in common).
const SKIP_COST = 70; // of a word that is added or left out
const SECONDS_PER_CHARACTER = 0.05; // that an added word needs at least in a pause

const bare = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");

/** Return the edit distance of two texts in percent of their longer length. */
function difference(a, b) {
  if (a === b) return 0;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]));
    }
    row = next;
  }
  return Math.round((100 * row[b.length]) / Math.max(a.length, b.length));
}

/**
 * Align words with new ones by least cost.
 *
 * @returns {[number|null, number|null][]} pairs of an old and a new number in order; null: none
 */
export function align(before, after) {
  const [olds, news] = [before.map(bare), after.map(bare)];
  const cost = (i, j) => (before[i] === after[j] ? 0 : 1 + difference(olds[i], news[j]));
  const costs = [Array.from({ length: news.length + 1 }, (_, j) => j * SKIP_COST)];
  for (let i = 1; i <= olds.length; i++) {
    const row = [i * SKIP_COST];
    for (let j = 1; j <= news.length; j++) {
      row[j] = Math.min(costs[i - 1][j - 1] + cost(i - 1, j - 1), costs[i - 1][j] + SKIP_COST, row[j - 1] + SKIP_COST);
    }
    costs.push(row);
  }
  const pairs = [];
  let [i, j] = [olds.length, news.length];
  while (i || j) {
    if (i && j && costs[i][j] === costs[i - 1][j - 1] + cost(i - 1, j - 1)) pairs.push([--i, --j]);
    else if (i && costs[i][j] === costs[i - 1][j] + SKIP_COST) pairs.push([--i, null]);
    else pairs.push([null, --j]);
  }
  return pairs.reverse();
}

/** Divide a time among texts by their lengths. */
function share(texts, start, end) {
  const total = texts.reduce((sum, text) => sum + text.length, 0);
  let at = 0;
  return texts.map((text) => {
    const from = start + ((end - start) * at) / total;
    at += text.length;
    return written(text, { start: from, end: start + ((end - start) * at) / total });
  });
}

/**
 * Return the words of an edited text. Words that stayed keep times and confidence. A replaced word has the time of the
 * old one; several for several share their time by their lengths; an added one has the pause where it stands or, if
 * that is too short, a part of its neighbor's time.
 *
 * @param {Word[]} words the old words
 * @param {string[]} texts the new ones
 * @param {{start: number, end: number}} limits the end of the word before, and the start of the one after them
 * @returns {Word[]}
 */
export function retime(words, texts, limits) {
  const result = [];
  const pairs = align(words.map((word) => word.text), texts);
  const isAnchor = ([old, fresh]) => old !== null && fresh !== null && isSame(words[old].text, texts[fresh]);
  for (let at = 0; at < pairs.length; ) {
    if (isAnchor(pairs[at])) {
      const [old, fresh] = pairs[at++];
      result.push(words[old].text === texts[fresh] ? words[old] : written(texts[fresh], words[old]));
      continue;
    }
    const olds = [];
    const news = [];
    for (; at < pairs.length && !isAnchor(pairs[at]); at++) {
      const [old, fresh] = pairs[at];
      if (old !== null) olds.push(words[old]);
      if (fresh !== null) news.push(texts[fresh]);
    }
    result.push(...replaced(olds, news));
  }
  return placed(result, limits);
}

/** Whether two words differ in case and punctuation at most. */
const isSame = (a, b) => a === b || (bare(a) !== "" && bare(a) === bare(b));

/** A word that a person wrote, with the time of another. */
const written = (text, { start, end }) => ({ text, start, end, confidence: 1, edited: true });

/** Return new words with the time of old ones, or as mere texts where there are none. */
function replaced(olds, news) {
  if (!olds.length || !news.length) return news;
  if (olds.length === news.length) return news.map((text, i) => written(text, olds[i]));
  return share(news, olds[0].start, olds.at(-1).end);
}

/** Give times to the words that have none yet. */
function placed(items, limits) {
  const result = [...items];
  for (let at = 0; at < result.length; at++) {
    if (typeof result[at] !== "string") continue;
    let stop = at;
    while (stop < result.length && typeof result[stop] === "string") stop += 1;
    const texts = result.slice(at, stop);
    const [before, after] = [result[at - 1], result[stop]];
    const from = before?.end ?? limits.start;
    const to = after?.start ?? limits.end;
    const needed = SECONDS_PER_CHARACTER * texts.join("").length;
    if (to - from >= needed || !(before || after)) {
      const start = after ? Math.max(from, to - 2 * needed) : from; // beside the word that follows, if there is one
      result.splice(at, texts.length, ...share(texts, start, Math.max(start, Math.min(to, start + 2 * needed))));
    } else if (after) {
      const parts = share([...texts, after.text], after.start, after.end);
      result.splice(at, texts.length + 1, ...parts.slice(0, -1), { ...after, start: parts.at(-1).start });
    } else {
      const parts = share([before.text, ...texts], before.start, before.end);
      result.splice(at - 1, texts.length + 1, { ...before, end: parts[0].end }, ...parts.slice(1));
    }
  }
  return result;
}
