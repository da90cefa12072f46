const FENCE = /^```[\w-]*\n([\s\S]*?)\n?```$/;
const PREAMBLE = /^(?:(?:sure|certainly|of course|okay)[,.!]*\s+)?here(?:'s|\u2019s| is| are)\b[^\n:]{0,80}:\s+/i;
/** What chat templates of GLM-V leave (https://github.com/zai-org/GLM-V/issues/79 and 133). */
const ANSWER = /^<answer>([\s\S]*?)(?:<\/answer>)?$/i;
const BOX = /<\|(?:begin|end)_of_box\|>/g;
const QUOTED = /^(?:"([^"]+)"|'([^']+)'|\u201c([^\u201d]+)\u201d|`([^`]+)`)$/;

/** A model that repeats itself may open thousands of fences. */
const MAX_LAYERS = 4;

/**
 * Takes from an answer what is no part of the caption: thoughts, code fences, quotation marks around it, "Here is a caption:",
 * marks of chat templates, and control characters. Nothing else is changed.
 */
export function cleanCaption(answer: string): { readonly text: string; readonly hasThought: boolean } {
  const printable = answer.replaceAll('\r\n', '\n').replaceAll(/[^\P{Cc}\n\t]|\p{Surrogate}/gu, '');
  // Models write `<think>`, some `<thinking>`, Kimi-VL `◁think▷`. A chat template may have written the first tag, and a spent budget
  // leaves out the last.
  const withoutThought = printable
    .replace(/^[\s\S]*[<◁]\/think(?:ing)?[>▷]/i, '')
    .replace(/[<◁]think(?:ing)?[>▷][\s\S]*$/i, '');
  let text = withoutThought.replaceAll(BOX, '').trim();
  for (let layers = 0; layers < MAX_LAYERS; layers++) {
    text = text.replace(ANSWER, '$1').replace(FENCE, '$1').replace(PREAMBLE, '').replace(QUOTED, '$1$2$3$4').trim();
  }
  return { text, hasThought: withoutThought.length < printable.length };
}

/** Of scripts that part words by spaces. */
const IN_WORD = '[\\p{sc=Latn}\\p{sc=Cyrl}\\p{sc=Grek}\\p{N}_]';

/** Puts a trigger word in front of a text that does not have it as a word: "desks" has no "sks". */
export function withTrigger(text: string, trigger: string): string {
  const word = trigger.trim();
  const escaped = word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  if (word === '' || new RegExp(`(?<!${IN_WORD})${escaped}(?!${IN_WORD})`, 'iu').test(text)) return text;
  return `${word}, ${text}`;
}
