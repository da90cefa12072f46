import type { WireCaptionEndpoint } from '../../api/caption-schemas.js';
import type { CaptionEndpoint } from '../../caption-endpoints.js';
import { answerIn, documentOf, errorOutcome, errorWords, type ModelAnswer } from '../../dataset/captioning/answers.js';
import { type Micros, MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { FairQueue } from '../../storage/limits.js';
import { sendRequest, withinTime } from '../webhooks/post.js';

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

/** Captions are plain; the body of an endpoint may set another. */
const TEMPERATURE = 0.2;

/** A streamed answer has some 300 bytes for each token. */
const MAX_ANSWER_BYTES = 10_000_000;
const TOO_LONG = { outcome: 'server_error', message: 'Its answer has more than 10 MB.' } as const;

/** For the list of models, which needs no model to be loaded. */
const LIST_SECONDS = 5;

/** For a server that does not say how long it is busy. */
const PAUSE_SECONDS = 5;
const LONGEST_RETRY_AFTER_SECONDS = 600;

/** Files that are prepared while a model answers for others. */
const PREPARED = 2;

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
  const fields = { model, stream: false, ...options, messages, ...endpoint.body };
  // An operator takes a field away by `null`: GPT-5 rejects `max_tokens`.
  return ['/chat/completions', Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))];
}

/** Ollama's `/v1` makes a message of each part, at which some models fail. */
function ollamaRequest({ body }: CaptionEndpoint, question: ModelQuestion): ModelRequest {
  const { model, prompt: content, pictures, maxTokens: num_predict, seed } = question;
  const messages = [{ role: 'user', content, images: pictures }];
  const options = { num_predict, temperature: TEMPERATURE, seed, ...(body.options as object | undefined) };
  return ['/api/chat', { model, stream: false, messages, ...body, options }];
}

/** What a server lists, and each model in it. Nothing of it is sure. */
interface Listed {
  readonly id?: unknown;
  readonly name?: unknown;
  readonly capabilities?: string[];
  /** Of llama.cpp's router, and of OpenRouter. */
  readonly architecture?: { readonly input_modalities?: string[] };
  readonly data?: readonly Listed[];
  /** Of Ollama's list, and of llama.cpp's beside `data`. */
  readonly models?: readonly Listed[];
}

/** It is stored with each caption. */
function isModelName(name: unknown): name is string {
  return typeof name === 'string' && /^\P{C}{1,500}$/u.test(name);
}

/** A model server, and the queue that limits its requests in flight, fairly by account. */
export class ModelServer {
  readonly endpoint: CaptionEndpoint;
  readonly queue: FairQueue;
  readonly #options: { now: () => Micros; onAsked: (outcome: string) => void };
  /** Until then it is not asked. */
  #busyUntil: Micros = 0;

  constructor(endpoint: CaptionEndpoint, options: { now: () => Micros; onAsked: (outcome: string) => void }) {
    this.endpoint = endpoint;
    this.queue = new FairQueue(endpoint.concurrency);
    this.#options = options;
  }

  /** Files that are prepared and asked about at once. */
  get filesAtOnce(): number {
    return this.endpoint.concurrency + PREPARED;
  }

  /** Asks a model about pictures. @returns the answer, or until when the server is busy. @throws the signal's reason */
  async ask(question: ModelQuestion, signal: AbortSignal): Promise<ModelAnswer | { readonly busyUntil: Micros }> {
    const { now, onAsked } = this.#options;
    if (this.#busyUntil > now()) return { busyUntil: this.#busyUntil };
    const answer = await this.#answer(question, signal);
    const isBusy = 'busySeconds' in answer;
    onAsked(isBusy ? 'busy' : (answer.outcome ?? 'written'));
    if (!isBusy) return answer;
    this.#busyUntil = now() + Math.ceil(answer.busySeconds * MICROS_PER_SECOND);
    return { busyUntil: this.#busyUntil };
  }

  async #answer(question: ModelQuestion, signal: AbortSignal): Promise<ModelAnswer | { busySeconds: number }> {
    const { dialect, timeoutSeconds: seconds } = this.endpoint;
    const [path, body] = (dialect === 'ollama' ? ollamaRequest : openaiRequest)(this.endpoint, question);
    const sent = await this.#send(path, { body, seconds, signal });
    if ('outcome' in sent) return sent;
    const { status, retryAfter, text } = sent;
    if (status === 200) {
      const answer = answerIn(text);
      return answer.text === undefined ? { ...answer, message: this.#withoutKey(answer.message) } : answer;
    }
    if (status >= 300 && status < 400) {
      return { outcome: 'unreachable', message: `It answered ${status}; redirects are not followed. Correct the URL.` };
    }
    const outcome = errorOutcome(status, errorWords(text));
    if (outcome !== 'busy') return { outcome, message: this.#refusal(sent) };
    return { busySeconds: retryAfter > 0 ? Math.min(retryAfter, LONGEST_RETRY_AFTER_SECONDS) : PAUSE_SECONDS };
  }

  /** @returns the answer, or why there is none. @throws the signal's reason */
  #send(path: string, { body, seconds, signal }: { body?: object; seconds: number; signal: AbortSignal }) {
    const { url, key } = this.endpoint;
    const headers = {
      accept: 'application/json',
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body && { 'content-type': 'application/json' }),
    };
    const exchange = async (ending: AbortSignal) => {
      const options = { method: body ? 'POST' : 'GET', headers, signal: ending };
      const response = await sendRequest(new URL(`${url}${path}`), options, body && JSON.stringify(body));
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > MAX_ANSWER_BYTES) return TOO_LONG;
      }
      const { statusCode: status = 0, headers: got } = response;
      return { status, retryAfter: Number(got['retry-after']), text: Buffer.concat(chunks).toString() };
    };
    return withinTime({ ms: seconds * 1000, signal }, exchange, (words, isLate) => {
      if (isLate) return { outcome: 'timeout', message: `No answer within ${seconds} s.` } as const;
      return { outcome: 'unreachable', message: words } as const;
    });
  }

  #refusal({ status, text }: { status: number; text: string }): string {
    return `It answered ${status}: ${this.#withoutKey(errorWords(text))}`;
  }

  /** A server may quote a wrong key. */
  #withoutKey(words: string): string {
    const { key } = this.endpoint;
    return key === undefined ? words : words.replaceAll(key, '…');
  }

  /** Whether the server answers, and what it says of its model. @throws the signal's reason */
  async state(signal: AbortSignal): Promise<WireCaptionEndpoint> {
    const { name, dialect, model: named } = this.endpoint;
    const isOllama = dialect === 'ollama';
    const unknown = { name, model: named ?? null, vision: null };
    const sent = await this.#send(isOllama ? '/api/tags' : '/models', { seconds: LIST_SECONDS, signal });
    if ('outcome' in sent) return { ...unknown, reachable: false, error: sent.message };
    const reachable = sent.status < 500 && sent.status !== 401 && sent.status !== 403;
    if (!reachable) return { ...unknown, reachable, error: this.#refusal(sent) };
    const list = documentOf<Listed>(sent.text) ?? {};
    const rows = [list.data, list.models].find((each) => Array.isArray(each)) ?? [];
    // LM Studio lists its embedding model too.
    const names = rows.map((row) => row?.id ?? row?.name).filter((id) => isModelName(id) && !/\bembed/i.test(id));
    const model = named ?? (names.length === 1 ? names[0] : undefined);
    if (model === undefined) {
      const found = names.length === 0 ? 'no model' : `${names.length} models: ${names.slice(0, 10).join(', ')}`;
      return { ...unknown, reachable, error: `The server lists ${found}. The operator names one with #MODEL.` };
    }
    const shown = isOllama ? await this.#send('/api/show', { body: { model }, seconds: LIST_SECONDS, signal }) : sent;
    const { capabilities = list.models?.[0]?.capabilities } = ('text' in shown && documentOf<Listed>(shown.text)) || {};
    const said = capabilities ?? rows.find((row) => row?.id === model)?.architecture?.input_modalities;
    const vision = Array.isArray(said) ? ['vision', 'multimodal', 'image'].some((word) => said.includes(word)) : null;
    return { name, model, reachable, vision, error: null };
  }
}

/** The model servers that the operator has named, in that order. */
export class ModelServers {
  readonly all: readonly ModelServer[];

  constructor(endpoints: readonly CaptionEndpoint[], options: ConstructorParameters<typeof ModelServer>[1]) {
    this.all = endpoints.map((endpoint) => new ModelServer(endpoint, options));
  }

  find(name: string | undefined): ModelServer | undefined {
    return this.all.find(({ endpoint }) => endpoint.name === name);
  }

  /** @throws ServiceError `caption_endpoint_not_found` */
  named(name: string): ModelServer {
    const server = this.find(name);
    if (server !== undefined) return server;
    const names = this.all.map(({ endpoint }) => endpoint.name);
    const message =
      names.length === 0
        ? 'The service has no model for captions. Its operator adds one with --caption-endpoint NAME=URL.'
        : `The service has no caption endpoint ${JSON.stringify(name)}. The operator has named: ${names.join(', ')}.`;
    throw new ServiceError('caption_endpoint_not_found', message);
  }
}
