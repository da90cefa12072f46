import { inspect } from 'node:util';
import { parsedJson } from '../../json-text.js';
import { cleanCaption } from './clean.js';
import type { CaptionOutcome } from './outcomes.js';
import { isRefusal } from './refusals.js';

/** What a model has written; `cut_off` has a text, other outcomes have none. */
export type ModelAnswer =
  | { readonly text: string; readonly outcome?: 'cut_off'; readonly message?: never }
  | { readonly text?: never; readonly outcome: CaptionOutcome; readonly message: string };

/** Nothing of what a server sends is sure. The content is a text, or parts with texts. */
type Message = Readonly<
  Partial<Record<'content' | 'reasoning' | 'reasoning_content' | 'thinking' | 'refusal', unknown>>
>;

/** A document of OpenAI's chat completions, whole or a piece of a stream, or of Ollama's `/api/chat`. */
interface Document {
  readonly choices?: readonly {
    readonly message?: Message;
    readonly delta?: Message;
    readonly finish_reason?: string;
  }[];
  readonly message?: Message;
  readonly done?: boolean;
  readonly done_reason?: string;
  readonly error?: unknown;
}

/** The JSON documents of a body: one, lines of them, or server-sent events, which proxies send in spite of `stream: false`. */
function documentsIn(body: string): Document[] {
  // A byte order mark is no part of it, which `trim` takes off.
  const whole = documentOf(body.trim());
  return whole === undefined
    ? body.split('\n').flatMap((line) => documentOf(line.replace(/^data:/, '')) ?? [])
    : [whole];
}

export function documentOf<T extends object = Document>(text: string): T | undefined {
  const value = parsedJson(text);
  return typeof value === 'object' ? ((value as T | null) ?? undefined) : undefined;
}

/** Reads the body of a success in either dialect. */
export function answerIn(body: string): ModelAnswer {
  let [content, thought, finish, refusal] = ['', '', '', ''];
  const documents = documentsIn(body);
  for (const { choices, message, done, done_reason, error } of documents) {
    if (error !== undefined && error !== null) {
      const outcome = errorOutcome(500, wordsOf(error));
      return failed(outcome === 'busy' ? 'server_error' : outcome, wordsOf(error));
    }
    const [choice] = Array.isArray(choices) ? choices : [];
    const part: Message = choice?.message ?? choice?.delta ?? message ?? {};
    content += Array.isArray(part.content)
      ? part.content.map((each) => textOf(each?.text)).join('')
      : textOf(part.content);
    thought += textOf(part.reasoning ?? part.reasoning_content ?? part.thinking);
    refusal += textOf(part.refusal);
    finish = choice?.finish_reason ?? done_reason ?? (done ? 'stop' : finish);
  }
  if (documents.length === 0) return failed('server_error', `its answer is no JSON: ${body.slice(0, 200)}`);
  // A stream whose server or proxy has died.
  if (documents.length > 1 && finish === '') finish = 'length';
  const { text, hasThought } = cleanCaption(content);
  if (finish === 'content_filter' || refusal !== '' || isRefusal(text)) return failed('refused', refusal || text);
  if (text !== '') return finish === 'length' ? { text, outcome: 'cut_off' } : { text };
  return failed(finish === 'length' && (hasThought || thought !== '') ? 'thought_too_long' : 'empty', '');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function failed(outcome: CaptionOutcome, message: string): ModelAnswer {
  return { outcome, message: shortened(message) };
}

/** On one line, without control characters. */
function shortened(words: string): string {
  return words
    .slice(0, 500)
    .replaceAll(/[\p{Cc}\p{Surrogate}]/gu, ' ')
    .trim();
}

/** The words of an error, which is a text in LM Studio and Ollama, and an object elsewhere. */
function wordsOf(error: unknown): string {
  const { message = error } = (error ?? {}) as { message?: unknown };
  return shortened(typeof message === 'string' ? message : inspect(message));
}

/** The words of an answer that is no success. */
export function errorWords(body: string): string {
  // Gemini's is in an array.
  const [document] = documentsIn(body).flat() as { error?: unknown; message?: unknown; detail?: unknown }[];
  return wordsOf(document ? (document.error ?? document.message ?? document.detail ?? '') : body);
}

/** Each as the servers say it; `test/harness/dialect-server.ts` names the sources. */
const NO_VISION =
  /mmproj|image input is not supported|missing data required for image input|does(n't| not) support (image|vision|multimodal)|not a multimodal|vision add-on is not loaded|at most 0 image/i;
const CONTEXT =
  /available context size|context (length|size|window)|maximum (model|context) length|tokens? to keep|input is too long|context overflow/i;
const MODEL = /model\b.*(not found|does not exist|not loaded|is unloaded)|no models? (loaded|found)|try pulling/i;
/** OpenAI's 429 without credit: to ask again does not help. */
const NO_CREDIT = /exceeded your current quota|insufficient_quota|billing/i;
const PICTURE = /image|base64|video|'url' field|unknown part type/i;

/** What an answer that is no success means; `busy` is asked again. */
export function errorOutcome(status: number, words: string): CaptionOutcome | 'busy' {
  if (status === 401 || status === 403 || NO_CREDIT.test(words)) return 'unauthorized';
  if (NO_VISION.test(words)) return 'no_vision';
  if (CONTEXT.test(words)) return 'context_too_small';
  if (MODEL.test(words)) return 'model_missing';
  if (status === 429 || status === 503) return 'busy';
  if (status === 404) return 'model_missing';
  if (status === 408 || status === 504) return 'timeout';
  return status === 413 || (status !== 502 && PICTURE.test(words)) ? 'image_rejected' : 'server_error';
}
