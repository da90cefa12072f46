import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { withAnySignal, withTimeout } from '../../abort-signals.js';
import type { WireCaptionEndpoint } from '../../api/caption-schemas.js';
import { answerIn, errorOutcome, errorWords, type ModelAnswer } from '../../dataset/captioning/answers.js';
import { type Micros, MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { FairQueue } from '../../storage/limits.js';
import { connectionFailure } from '../webhooks/post.js';

/** A model server that the operator has named. */
export interface CaptionEndpoint {
  readonly name: string;
  /** Up to `/chat/completions`, or for Ollama up to `/api/chat`. */
  readonly url: string;
  /** By default the only one that the server lists. */
  readonly model?: string | undefined;
  readonly dialect: 'openai' | 'ollama';
  /** Requests at once. */
  readonly concurrency: number;
  readonly timeoutSeconds: number;
  /** Of a picture, in pixels. */
  readonly longestSide: number;
  /** How clips are sent: as frames, or whole as vLLM's `video_url`. */
  readonly video: 'frames' | 'url';
  /** Further fields of the body: servers turn thinking off in different ways. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Never logged or answered. */
  readonly key?: string | undefined;
}

export interface ModelQuestion {
  readonly model: string;
  readonly prompt: string;
  /** JPEG in Base64, the only form that all servers accept. */
  readonly pictures: readonly string[];
  /** A `data:` URL. */
  readonly clip?: string;
  readonly maxTokens: number;
  readonly seed: number;
}

/** The server asks to wait. */
interface ModelBusy {
  readonly retryAfterSeconds: number | undefined;
}

/** Captions are plain; the body of an endpoint may set another. */
const TEMPERATURE = 0.2;

/** A streamed answer has some 300 bytes for each token. */
const MAX_ANSWER_BYTES = 10_000_000;

class AnswerTooLong extends Error {}

/** For the list of models, which needs no model to be loaded. */
const LIST_SECONDS = 5;

interface Exchange {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/**
 * Sends a request. `fetch` would end it after 300 s without an answer, and follow redirects, to which the key must not go.
 *
 * @throws the error of the connection; the signal's reason
 */
async function exchange(
  { url, key }: CaptionEndpoint,
  path: string,
  { body, signal }: { body?: object; signal: AbortSignal },
): Promise<Exchange> {
  const target = new URL(`${url}${path}`);
  const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
  const text = body && JSON.stringify(body);
  const headers = {
    accept: 'application/json',
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
    ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  };
  const method = text === undefined ? 'GET' : 'POST';
  // A connection that is kept alive may be closed by the server as the next question is sent.
  const sent = send(target, { method, headers, signal, agent: false });
  // Once the answer has begun, its stream has the error.
  sent.on('error', () => {});
  const [response] = (await once(sent.end(text), 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes > MAX_ANSWER_BYTES) throw new AnswerTooLong();
  }
  const { statusCode: status = 0, headers: got } = response;
  return { status, retryAfter: got['retry-after'], body: Buffer.concat(chunks).toString() };
}

/** Asks a model about pictures. @throws the signal's reason */
async function askModel(
  endpoint: CaptionEndpoint,
  question: ModelQuestion,
  signal: AbortSignal,
): Promise<ModelAnswer | ModelBusy> {
  const ask = endpoint.dialect === 'ollama' ? ollamaRequest : openaiRequest;
  const [path, body] = ask(endpoint, question);
  const result = await attempt(endpoint, path, { body, seconds: endpoint.timeoutSeconds, signal });
  if ('outcome' in result) return result;
  const { status, retryAfter, body: text } = result;
  if (status === 200) {
    const answer = answerIn(text);
    return answer.text === undefined ? { ...answer, message: withoutKey(answer.message, endpoint) } : answer;
  }
  const words = withoutKey(errorWords(text), endpoint);
  if (status >= 300 && status < 400) {
    return { outcome: 'unreachable', message: `It answered ${status}; redirects are not followed. Correct the URL.` };
  }
  const outcome = errorOutcome(status, words);
  const seconds = Number(retryAfter);
  if (outcome === 'busy') return { retryAfterSeconds: seconds > 0 ? seconds : undefined };
  return { outcome, message: `It answered ${status}: ${words}` };
}

/** The answer, or why there is none. @throws the signal's reason */
async function attempt(
  endpoint: CaptionEndpoint,
  path: string,
  { body, seconds, signal }: { body?: object; seconds: number; signal: AbortSignal },
) {
  return withTimeout(seconds * 1000, async (timeout) => {
    try {
      const send = (ending: AbortSignal) => exchange(endpoint, path, { ...(body && { body }), signal: ending });
      return await withAnySignal([signal, timeout], send);
    } catch (error) {
      signal.throwIfAborted();
      if (timeout.aborted) return { outcome: 'timeout', message: `No answer within ${seconds} s.` } as const;
      if (error instanceof AnswerTooLong) {
        return { outcome: 'server_error', message: 'Its answer has more than 10 MB.' } as const;
      }
      return { outcome: 'unreachable', message: connectionFailure(error) } as const;
    }
  });
}

/** A server may quote a wrong key. */
function withoutKey(words: string, { key }: CaptionEndpoint): string {
  return key === undefined ? words : words.replaceAll(key, '…');
}

type ModelRequest = [path: string, body: object];

function openaiRequest(endpoint: CaptionEndpoint, question: ModelQuestion): ModelRequest {
  const { model, prompt, pictures, clip, maxTokens: max_tokens, seed } = question;
  const content = [
    // An object, since few servers accept a bare text; a JPEG, since llama.cpp and LM Studio reject WebP.
    ...pictures.map((jpeg) => ({ type: 'image_url', image_url: { url: `data:image/jpeg;base64,${jpeg}` } })),
    ...(clip === undefined ? [] : [{ type: 'video_url', video_url: { url: clip } }]),
    { type: 'text', text: prompt },
  ];
  const messages = [{ role: 'user', content }];
  const options = { max_tokens, temperature: TEMPERATURE, seed };
  return ['/chat/completions', { model, stream: false, ...options, messages, ...endpoint.body }];
}

/** Ollama's `/v1` makes a message of each part, at which some models fail. */
function ollamaRequest({ body }: CaptionEndpoint, question: ModelQuestion): ModelRequest {
  const { model, prompt: content, pictures, maxTokens: num_predict, seed } = question;
  const messages = [{ role: 'user', content, images: pictures }];
  const options = { num_predict, temperature: TEMPERATURE, seed, ...(body.options as object | undefined) };
  return ['/api/chat', { model, stream: false, messages, ...body, options }];
}

export type EndpointState = Omit<WireCaptionEndpoint, 'name'>;

/** Whether a server answers, and what it says of its model. @throws the signal's reason */
export async function endpointState(endpoint: CaptionEndpoint, signal: AbortSignal): Promise<EndpointState> {
  const isOllama = endpoint.dialect === 'ollama';
  const listed = await attempt(endpoint, isOllama ? '/api/tags' : '/models', { seconds: LIST_SECONDS, signal });
  const unknown = { model: endpoint.model ?? null, vision: null };
  if ('outcome' in listed) return { ...unknown, reachable: false, error: listed.message };
  const list = parsedList(listed.body);
  const rows = [list.data, list.models].find((each) => Array.isArray(each)) ?? [];
  const names = rows.map((row) => row?.id ?? row?.name).filter(isModelName);
  const model = endpoint.model ?? (names.length === 1 ? names[0] : undefined);
  const reachable = listed.status < 500 && listed.status !== 401 && listed.status !== 403;
  const refusal = `It answered ${listed.status}: ${withoutKey(errorWords(listed.body), endpoint)}`;
  if (!reachable) return { ...unknown, reachable, error: refusal };
  if (model === undefined) {
    const found = names.length === 0 ? 'no model' : `${names.length} models: ${names.slice(0, 10).join(', ')}`;
    return { ...unknown, reachable, error: `The server lists ${found}. The operator names one with #MODEL.` };
  }
  const shown = isOllama
    ? await attempt(endpoint, '/api/show', { body: { model }, seconds: LIST_SECONDS, signal })
    : listed;
  const { capabilities = list.models?.[0]?.capabilities } = 'body' in shown ? parsedList(shown.body) : {};
  const said = capabilities ?? rows.find((row) => row?.id === model)?.architecture?.input_modalities;
  const vision = Array.isArray(said) ? ['vision', 'multimodal', 'image'].some((word) => said.includes(word)) : null;
  return { model, reachable, vision, error: null };
}

/** It is stored with each caption. */
function isModelName(name: unknown): name is string {
  return typeof name === 'string' && /^\P{C}{1,500}$/u.test(name);
}

interface ListedModel {
  readonly id?: unknown;
  readonly name?: unknown;
  readonly capabilities?: string[];
  /** Of llama.cpp's router, and of OpenRouter. */
  readonly architecture?: { readonly input_modalities?: string[] };
}

interface ModelList {
  readonly data?: readonly ListedModel[];
  /** Of Ollama's list, and of llama.cpp's beside `data`. */
  readonly models?: readonly ListedModel[];
  readonly capabilities?: string[];
}

function parsedList(body: string): ModelList {
  try {
    return (JSON.parse(body) ?? {}) as ModelList;
  } catch {
    return {};
  }
}

/** For a server that does not say how long it is busy. */
const PAUSE_SECONDS = 5;
const LONGEST_RETRY_AFTER_SECONDS = 600;

/** Files that are prepared while a model answers for others. */
const PREPARED = 2;

interface ModelServer {
  readonly endpoint: CaptionEndpoint;
  readonly queue: FairQueue;
  /** Until then it is not asked. */
  busyUntil: Micros;
}

/** Until when the server is not asked. */
interface Busy {
  readonly busyUntil: Micros;
}

/** Asks the model servers that the operator has named, each with its requests at once, fairly by account. */
export class ModelServers {
  readonly #servers: ReadonlyMap<string, ModelServer>;
  readonly #now: () => Micros;
  readonly #onAsked: (outcome: string) => void;

  constructor(
    endpoints: readonly CaptionEndpoint[],
    options: { now: () => Micros; onAsked: (outcome: string) => void },
  ) {
    const server = (endpoint: CaptionEndpoint): ModelServer => {
      return { endpoint, queue: new FairQueue(endpoint.concurrency), busyUntil: 0 };
    };
    this.#servers = new Map(endpoints.map((endpoint) => [endpoint.name, server(endpoint)]));
    this.#now = options.now;
    this.#onAsked = options.onAsked;
  }

  get names(): string[] {
    return [...this.#servers.keys()];
  }

  /** Files that are prepared and asked about at once, by all servers or by one; at least one, for an endpoint that was removed. */
  filesAtOnce(name?: string): number {
    const servers = [...this.#servers.values()].filter(({ endpoint }) => name === undefined || endpoint.name === name);
    const files = servers.reduce((sum, { endpoint }) => sum + endpoint.concurrency + PREPARED, 0);
    return Math.max(1, files);
  }

  get inFlight(): number {
    return [...this.#servers.values()].reduce((sum, { queue }) => sum + queue.held, 0);
  }

  /** @throws ServiceError `caption_endpoint_not_found` */
  endpoint(name: string): CaptionEndpoint {
    return this.#server(name).endpoint;
  }

  #server(name: string): ModelServer {
    const server = this.#servers.get(name);
    if (server !== undefined) return server;
    const { names } = this;
    const message =
      names.length === 0
        ? 'The service has no model for captions. Its operator adds one with --caption-endpoint NAME=URL.'
        : `The service has no caption endpoint ${JSON.stringify(name)}. The operator has named: ${names.join(', ')}.`;
    throw new ServiceError('caption_endpoint_not_found', message);
  }

  /**
   * Runs work that may ask the model when it is the turn of the account.
   *
   * @throws ServiceError `caption_endpoint_not_found`; the signal's reason
   */
  inTurn<T>(
    name: string,
    { accountId, signal }: { accountId: string; signal: AbortSignal },
    work: (ask: (question: ModelQuestion) => Promise<ModelAnswer | Busy>) => Promise<T>,
  ): Promise<T> {
    const server = this.#server(name);
    return server.queue.run(accountId, () => work((question) => this.#ask(server, question, signal)), { signal });
  }

  async #ask(server: ModelServer, question: ModelQuestion, signal: AbortSignal): Promise<ModelAnswer | Busy> {
    if (server.busyUntil > this.#now()) return { busyUntil: server.busyUntil };
    const answer = await askModel(server.endpoint, question, signal);
    const isBusy = 'retryAfterSeconds' in answer;
    this.#onAsked(isBusy ? 'busy' : (answer.outcome ?? 'written'));
    if (!isBusy) return answer;
    const seconds = Math.min(answer.retryAfterSeconds ?? PAUSE_SECONDS, LONGEST_RETRY_AFTER_SECONDS);
    server.busyUntil = this.#now() + Math.ceil(seconds * MICROS_PER_SECOND);
    return { busyUntil: server.busyUntil };
  }
}
