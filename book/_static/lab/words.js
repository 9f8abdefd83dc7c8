// Captions: words that the model does not know and the nearest that it does, tokens, and what a caption asks for.
// The same rules as semcom_utils.generation.words and semcom_utils.toyworld.grammar.

/** Words of a text in small letters, each once. */
const wordsOf = (text) => [...new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])];

/** Characters that two words share in runs, longest run first (Ratcliff and Obershelp). */
function shared(a, b) {
  let length = 0, atA = 0, atB = 0;
  for (let i = 0; i < a.length; i++)
    for (let j = 0; j < b.length; j++) {
      let k = 0;
      while (i + k < a.length && j + k < b.length && a[i + k] === b[j + k]) k++;
      if (k > length) [length, atA, atB] = [k, i, j];
    }
  if (!length) return 0;
  return (
    length + shared(a.slice(0, atA), b.slice(0, atB)) + shared(a.slice(atA + length), b.slice(atB + length))
  );
}

/** Up to three known words that are spelt alike, the nearest first. */
export function near(word, known) {
  return known
    .map((other) => [(2 * shared(other, word)) / (other.length + word.length), other])
    .filter(([likeness]) => likeness >= 0.6)
    .sort((x, y) => y[0] - x[0] || (x[1] < y[1] ? 1 : -1))
    .slice(0, 3)
    .map(([, other]) => other);
}

/** Unknown words of a text, each with its nearest known ones. */
export function unknownWords(text, tokens) {
  const known = Object.keys(tokens.words);
  return wordsOf(text).filter((word) => !(word in tokens.words)).map((word) => ({ word, near: near(word, known) }));
}

/** A caption as both sides use it: small letters, single blanks, no full stop. */
export const plain = (text) => text.toLowerCase().trim().replace(/\s+/g, " ").replace(/\s*,\s*/g, ", ").replace(/\.$/, "");

/** Token numbers of a text of known words, padded to the encoder's length. */
export function tokenise(text, tokens) {
  const pieces = text.match(/[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+/gu) ?? [];
  const numbers = pieces.map((piece) => tokens.words[piece]);
  if (numbers.includes(undefined))
    throw new RangeError(`the model does not know "${pieces[numbers.indexOf(undefined)]}"`);
  const row = [tokens.first, ...numbers.slice(0, tokens.length - 2), tokens.last];
  return row.concat(Array(tokens.length - row.length).fill(tokens.padding));
}

/** Labels of the things that a caption asks for; throws in words if it is none of the grammar. */
export function labelsOf(text, grammar) {
  const kindOf = new Map(grammar.kinds.flatMap((k) => [k, ...(grammar.synonyms[k] ?? [])].map((word) => [word, k])));
  const any = (list) => [...list].join("|");
  const grounds = any(grammar.grounds);
  const thing = new RegExp(
    `^an? (?:(?:${any(grammar.patterns)}) )?(${any(grammar.colours)}) (${any(kindOf.keys())})(?: (${any(grammar.poses)}))?$`,
  );
  let rest = plain(text), match = rest.match(new RegExp(`^on (?:${grounds}), (.+)$`));
  if (!match) {
    for (const prefix of grammar.prefixes) if (rest.startsWith(`${prefix} `)) rest = rest.slice(prefix.length + 1);
    match = rest.match(new RegExp(`^(.+) on (?:${grounds})$`));
  }
  if (!match) throw new SyntaxError(`it must end with "on" and one of ${grammar.grounds.join(", ")}`);
  const parts = match[1].split(/( left of | right of | in |, | and )/);
  const found = parts.filter((_, i) => i % 2 === 0).map((part) => {
    const read = part.match(thing);
    if (!read || (kindOf.get(read[2]) === "robot") !== (read[3] !== undefined))
      throw new SyntaxError(`"${part}" is no thing: write "a red ball" or "a blue robot waving"`);
    return { colour: read[1], kind: kindOf.get(read[2]) };
  });
  const links = parts.filter((_, i) => i % 2).join("");
  if (!["", " and ", " left of ", " right of ", " in ", ",  and "].includes(links))
    throw new SyntaxError("it may have one to three things, joined by \"and\", or two by \"left of\", \"right of\", \"in\"");
  if (links === " in " && (!["dog", "ball"].includes(found[0].kind) || found[1].kind !== "bucket"))
    throw new SyntaxError("only a dog or a ball may be in a bucket");
  return found.map(({ colour, kind }) => `${colour} ${kind}`);
}
