import { BASE_PATH, PAGE_HEADER } from '../api/limits.js';
import type { AnswerOf, ParamsOf, RouteName, SentBodyOf, SentQueryOf } from '../api/routes.js';
import { untilAborted, withAnySignal, withTimeout } from '../abort-signals.js';
import { TrainyardError, abortable, errorOf, jsonOf } from './answers.js';
import { hasBytes } from './push-file.js';
import { type RetryOptions, withRetries } from './retry.js';

export type ClientOptions = Credential & {
  /** Such as `https://data.example`, with or without the API's base path. */
  readonly baseUrl: string;
  /** The first one included; 5 by default. Only temporary failures are retried. */
  readonly attempts?: number;
  /** For answers with JSON, 120 by default. Others may be large, and have no limit. */
  readonly answerSeconds?: number;
  /** Groups all writes of this client into revisions of the history. trainyard only. */
  readonly change?: ChangeGroup;
  /** Replaces the global `fetch`. */
  readonly fetch?: typeof fetch;
};

type Credential =
  | { readonly token: string; readonly session?: never }
  /** The page's session, which the cookie must have: a sign-in in another tab can't change the account. `'1'`: any. */
  | { readonly session: string; readonly token?: never };

/** `fetch` strips white space at the end (https://fetch.spec.whatwg.org/#concept-header-value-normalize). */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]+[\t\n\r ]*$/.test(text);
}

/** The text itself is not quoted, since a part of it may be a token. */
export const NO_TOKEN = 'is empty, or has a space, a line end or a character that is not ASCII';

/** Writes that the service records as one revision, as far as it can. */
export interface ChangeGroup {
  readonly how: 'edit' | 'bulk' | 'push' | 'upload';
  /** 1 to 64 letters, digits and hyphens. */
  readonly id: string;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface StreamOptions extends CallOptions {
  /** Without a byte for so long, the stream ends with a TimeoutError, since a proxy may hold it back. 40 by default. */
  readonly maxSilentSeconds?: number | undefined;
}

export interface EventOptions extends StreamOptions {
  /** Also yields the events of its controls and mask. */
  readonly linked?: boolean;
}

/** Reads an earlier revision. trainyard only. */
export interface RevisionOptions extends CallOptions {
  readonly revision?: number | undefined;
}

export interface WriteOptions extends CallOptions {
  /** The quoted ETag of the file that is replaced; `null`: no such file. Otherwise 412 with `current`. trainyard only. */
  readonly ifMatch?: string | null | undefined;
}

function conditionHeaders({ ifMatch }: WriteOptions): Record<string, string> {
  if (ifMatch === undefined) return {};
  return ifMatch === null ? { 'if-none-match': '*' } : { 'if-match': ifMatch };
}

export type RepeatOptions = Pick<RetryOptions, 'isRepeatable'>;

interface RouteCall<N extends RouteName> extends CallOptions, RepeatOptions {
  readonly query?: SentQueryOf<N>;
  readonly body?: SentBodyOf<N>;
  readonly headers?: Record<string, string>;
}

interface OnceOptions extends CallOptions {
  readonly headers?: Record<string, string> | undefined;
  readonly body?: FormData | string;
  /** Ends the answer's body; `signal` by default. */
  readonly bodySignal?: AbortSignal | undefined;
}

/** Calls the routes of the contract, and retries temporary failures. */
export class Requests {
  readonly attempts: number;
  readonly fetch: typeof fetch;
  readonly #base: string;
  readonly #credential: Record<string, string>;
  readonly #answerSeconds: number;
  readonly #changeHeaders: Record<string, string>;
  readonly #contract = import('./contract.js');

  /** @throws TypeError for an invalid `baseUrl`, or a token that no header can carry */
  constructor(options: ClientOptions) {
    const { baseUrl, attempts = 5, answerSeconds = 120, change, fetch = globalThis.fetch } = options;
    const { origin, pathname } = new URL(baseUrl);
    // The error of `fetch` would quote the token.
    if (options.token !== undefined && !isToken(options.token)) throw new TypeError(`The token ${NO_TOKEN}.`);
    this.#base = origin + pathname.replace(/\/+$/, '').replace(new RegExp(`${BASE_PATH}$`), '') + BASE_PATH;
    this.#credential =
      options.token === undefined ? { [PAGE_HEADER]: options.session } : { authorization: `Bearer ${options.token}` };
    this.attempts = attempts;
    this.#answerSeconds = answerSeconds;
    this.#changeHeaders = change === undefined ? {} : { 'trainyard-change': `${change.how}; ${change.id}` };
    // A browser's fetch throws if it is called as a method of another object.
    this.fetch = (...args) => fetch(...args);
  }

  urlOf(target: string): string {
    return `${this.#base}${target}`;
  }

  /** @param given the parameters of the path in order, then the body or else the query, then options. @throws as `json` */
  async call<N extends RouteName>(name: N, given: readonly unknown[], options?: RepeatOptions): Promise<AnswerOf<N>> {
    const { params, ...call } = (await this.#contract).callOf(name, given);
    return this.json(name, params, { ...options, ...(call as RouteCall<N>) });
  }

  /** @throws TrainyardError; DOMException TimeoutError after `answerSeconds` */
  async json<N extends RouteName>(name: N, params: ParamsOf<N>, call?: RouteCall<N>): Promise<AnswerOf<N>> {
    return (await this.change(name, params, call)).answer;
  }

  /** `isRepeated`: an earlier attempt may have been carried out, and its answer lost. @throws as `json` */
  async change<N extends RouteName>(name: N, params: ParamsOf<N>, call: RouteCall<N> = {}) {
    const { addressOf, checkedAnswer } = await this.#contract;
    const { method, target } = addressOf(name, params, call.query);
    const request = requestOf(call);
    const work = (attempt: AbortSignal | undefined, isRepeated: boolean) =>
      withTimeout(this.#answerSeconds * 1000, (timeout) =>
        withAnySignal([attempt, timeout], async (signal) => {
          // Read within the attempt, since a connection may break in the middle of an answer.
          const answer = await jsonOf(await this.once(method, target, { ...request, signal }));
          return { answer: checkedAnswer(name, answer), isRepeated };
        }),
      );
    return withRetries(work, { ...call, attempts: this.attempts });
  }

  async response<N extends RouteName>(name: N, params: ParamsOf<N>, call: RouteCall<N> = {}): Promise<Response> {
    const { method, target } = (await this.#contract).addressOf(name, params, call.query);
    const request = requestOf(call);
    // Read after the attempt, until the caller's signal.
    const work = (signal: AbortSignal | undefined) =>
      this.once(method, target, { ...request, signal, bodySignal: call.signal });
    return withRetries(work, { ...call, attempts: this.attempts });
  }

  /**
   * If the condition of a later attempt fails on the same bytes, an earlier one may have stored them. They then replace themselves.
   *
   * @throws TrainyardError, also a 412 if another client has changed the file
   */
  async upload(
    id: string,
    { filename, bytes }: { filename: string; bytes: Blob },
    { signal: caller, ifMatch }: WriteOptions,
  ): Promise<AnswerOf<'file.upload'>> {
    const { addressOf, checkedAnswer } = await this.#contract;
    const { method, target } = addressOf('file.upload', { id });
    const send = async (condition: WriteOptions) => {
      const body = new FormData();
      body.append('file', bytes, filename);
      const { signal } = condition;
      const response = await this.once(method, target, { headers: conditionHeaders(condition), body, signal });
      return checkedAnswer('file.upload', await jsonOf(response));
    };
    const work = (signal: AbortSignal | undefined, isRepeated: boolean) =>
      send({ ifMatch, signal }).catch(async (error) => {
        const current = isRepeated && error instanceof TrainyardError ? error.current : undefined;
        if (!current || !(await hasBytes(current, bytes))) throw error;
        return send({ ifMatch: current.etag, signal });
      });
    return withRetries(work, { attempts: this.attempts, signal: caller });
  }

  /** @param given the parameters of the path in order, then options */
  async remove<N extends RouteName>(name: N, given: readonly unknown[]): Promise<void> {
    const { addressOf, callOf } = await this.#contract;
    const { params, signal: caller, ...condition } = callOf(name, given) as { params: ParamsOf<N> } & WriteOptions;
    const { method, target } = addressOf(name, params);
    const headers = conditionHeaders(condition);
    const work = async (signal: AbortSignal | undefined, isRepeated: boolean) => {
      try {
        await (await this.once(method, target, { headers, signal })).body?.cancel();
      } catch (error) {
        // An earlier attempt may have deleted it and lost the answer; with a condition, that is a 412.
        const isGone = error instanceof TrainyardError && (error.status === 404 || error.current === null);
        if (!isRepeated || !isGone) throw error;
      }
    };
    await withRetries(work, { attempts: this.attempts, signal: caller });
  }

  /** Sends a request once. @throws TrainyardError for an answer that is not a success */
  async once(
    method: string,
    target: string,
    { headers, body, signal, bodySignal = signal }: OnceOptions,
  ): Promise<Response> {
    requireSegments(target);
    const answer = this.fetch(this.urlOf(target), {
      method,
      headers: { ...headers, ...(method !== 'GET' && this.#changeHeaders), ...this.#credential },
      // The API has no redirects, and one could send the token to another host.
      redirect: 'manual',
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    });
    const response = abortable(await untilAborted(answer, signal), bodySignal);
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

/**
 * URL parsers drop `.` and `..`, also escaped (https://url.spec.whatwg.org/#double-dot-path-segment): deleting the file `..` would
 * delete its dataset. @throws TrainyardError 404
 */
function requireSegments(target: string): void {
  const [, segment] = /\/(\.{0,2})(?=[/?]|$)/.exec(target) ?? [];
  if (segment === undefined) return;
  const message = `Nothing has the id or the filename ${JSON.stringify(segment)}.`;
  throw new TrainyardError(404, { error_code: 404, error_message: message });
}

function requestOf({ body, headers }: { body?: unknown; headers?: Record<string, string> }) {
  if (body === undefined) return { headers };
  return { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
