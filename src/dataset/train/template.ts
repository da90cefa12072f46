import { escapeOf, jsonText } from '../../json-text.js';

/** Lists and objects are for sections. */
export type TemplateFacts = Readonly<Record<string, unknown>>;

/**
 * `{{!…}}` or a section (`{{#name}}…{{/name}}`, `{{^name}}…{{/name}}`), alone on a line or within one; `{{{name}}}`; `{{name}}`.
 * One expression, so that inserted text is never read as a template.
 */
const TAG =
  /^\{\{!.*\n|(?:^ *)?\{\{([#^])(\w+)\}\}(\n?)([\s\S]*?)(?:^ *)?\{\{\/\2\}\}\3|\{\{\{(\w+)\}\}\}|\{\{(\w+)\}\}/gm;

/** Would end a comment, or reorder it. */
const UNSAFE = /\p{Cc}|\p{Bidi_Control}|[\u2028\u2029]/gu;

/**
 * Mustache, where `{{name}}` is escaped for quotes of YAML, TOML and JSON, and `{{{name}}}` is for a command in a comment.
 *
 * @throws TypeError if a fact is missing, or an inserted one does not apply
 */
export function filled(template: string, facts: TemplateFacts): string {
  return template.replace(
    TAG,
    (_, sign?: string, section?: string, _end?: string, body = '', plain?: string, name = '') => {
      if (section !== undefined) return filledSection(body, { sign, name: section, facts });
      if (plain !== undefined) return wordOf(facts, plain).replace(UNSAFE, escapeOf);
      return name === '' ? '' : jsonText(wordOf(facts, name)).slice(1, -1);
    },
  );
}

type Section = { readonly sign?: string | undefined; readonly name: string; readonly facts: TemplateFacts };

function filledSection(body: string, { sign, name, facts }: Section): string {
  if (!Object.hasOwn(facts, name)) throw new TypeError(`The template has no fact "${name}".`);
  const value = facts[name];
  const items = Array.isArray(value) ? value : value === undefined || value === false ? [] : [value];
  if (sign === '^') return items.length === 0 ? filled(body, facts) : '';
  return items.map((item) => filled(body, typeof item === 'object' ? { ...facts, ...item } : facts)).join('');
}

function wordOf(facts: TemplateFacts, name: string): string {
  const value = facts[name];
  if (value === undefined) throw new TypeError(`The template has no fact "${name}".`);
  return Array.isArray(value) ? value.join(', ') : String(value);
}

const COMMENT_COLUMNS = 116;

/** Wraps lines that begin with `##` into comments, or takes them out of JSON, which has none. */
export function withProse(lines: readonly string[], { hasComments }: { hasComments: boolean }) {
  const notes: string[] = [];
  const text = lines.flatMap((line) => {
    const [, indent = '', prose] = /^( *)## (.*)$/.exec(line) ?? [];
    if (prose === undefined) return [line];
    if (hasComments) return wrapped(prose, COMMENT_COLUMNS - indent.length).map((each) => `${indent}# ${each}`);
    notes.push(prose);
    return [];
  });
  return { text: text.join('\n'), notes };
}

function wrapped(prose: string, columns: number): string[] {
  const lines = [''];
  for (const word of prose.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + word.length >= columns) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
