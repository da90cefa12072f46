/** Answers have fewer than ten levels. `JSON.stringify` calls itself for each, and exceeds the stack at some thousands. */
const MAX_LEVELS = 100;

/** Parses JSON of a server. @throws SyntaxError if it is not JSON, or is nested deeper than any answer */
export function parseJson(text: string): ReturnType<typeof JSON.parse> {
  let [levels, isInText] = [0, false];
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    if (character === 0x22) isInText = !isInText;
    else if (isInText && character === 0x5c) i++;
    else if (isInText) continue;
    else if (character === 0x5b || character === 0x7b) levels++;
    else if (character === 0x5d || character === 0x7d) levels--;
    if (levels > MAX_LEVELS) throw new SyntaxError(`it has more than ${MAX_LEVELS} levels`);
  }
  return JSON.parse(text);
}
