import { BASE_PATH, PAGE_HEADER } from '../api/base-path.js';
import type { AnswerOf, ParamsOf, QueryOf, RouteName, SentBodyOf } from '../api/routes.js';
import { withAnySignal, withTimeout } from '../abort-signals.js';
import { abortable, errorOf, jsonOf, untilAborted } from './answers.js';
import { hasBytes } from './push-file.js';
import { type RetryOptions, withRetries } from './retry.js';
import { TrainyardError } from './trainyard-error.js';

export type ClientOptions = Credential & {
  /** The URL of the service, such as `https://data.example`, with or without the API's base path. */
  readonly baseUrl: string;
  /** Attempts at each request, the first one included; 5 by default. Only temporary failures are retried. */
  readonly attempts?: number;
  /** The longest that an answer with JSON may take, 120 by default. Other answers may be large, and have no limit. */
  readonly answerSeconds?: number;
  /** What all writes of this client belong to; one change is at least one revision of the history. trainyard only. */
  readonly change?: ChangeGroup;
  /** Replaces the global `fetch`. */
  readonly fetch?: typeof fetch;
};

/** Who sends the requests. */
type Credential =
  | { readonly token: string; readonly session?: never }
  /**
   * A script of the service's own page: the browser sends the cookie of its session, which must have this id, so that no
   * request goes to another account after a sign-in in another tab. `'1'` is any session. trainyard only.
   */
  | { readonly session: string; readonly token?: never };

/** Whether a header can carry this token. `fetch` removes white space at its end (https://fetch.spec.whatwg.org/#concept-header-value-normalize). */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]+[\t\n\r ]*$/.test(text);
}

/** What is wrong with a text that is no token. It is not quoted, since a part of it may be one. */
export const NO_TOKEN = 'is empty, or has a space, a line end or a character that is not ASCII';

/** Writes that belong together: the service records them as one revision as far as it can. */
export interface ChangeGroup {
  readonly how: 'edit' | 'bulk' | 'push' | 'upload';
  /** 1 to 64 letters, digits and hyphens. */
  readonly id: string;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** For a stream of events. */
export interface StreamOptions extends CallOptions {
  /**
   * The stream ends with a DOMException TimeoutError after so many seconds without a byte, its first one included: its connection
   * may be broken, or a proxy may hold it back. 40 by default.
   */
  readonly maxSilentSeconds?: number | undefined;
}

/** For the events of a dataset. */
export interface EventOptions extends StreamOptions {
  /** Also yields those of the controls and the mask that the dataset is linked to. */
  readonly linked?: boolean;
}

/** For reading an earlier revision of a dataset instead of the latest. trainyard only. */
export interface RevisionOptions extends CallOptions {
  readonly revision?: number | undefined;
}

/** For a write that must not replace another person's. */
export interface WriteOptions extends CallOptions {
  /**
   * The ETag of the file that the write replaces, quotation marks included; `null`: no file of that name may exist. If it is
   * not so, the error has the status 412 and `current`. trainyard only.
   */
  readonly ifMatch?: string | null | undefined;
}

/** The headers of a conditional write. */
function conditionHeaders({ ifMatch }: WriteOptions): Record<string, string> {
  if (ifMatch === undefined) return {};
  return ifMatch === null ? { 'if-none-match': '*' } : { 'if-match': ifMatch };
}

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** What a call of a route sends, besides the parameters of its path. */
interface RouteCall<N extends RouteName> extends CallOptions, Pick<RetryOptions, 'isRepeatable'> {
  readonly query?: { readonly [K in keyof QueryOf<N>]?: QueryOf<N>[K] | undefined };
  readonly body?: DeepReadonly<SentBodyOf<N>>;
  readonly headers?: Record<string, string>;
}

interface OnceOptions extends CallOptions {
  readonly headers?: Record<string, string> | undefined;
  readonly body?: FormData | string;
  /** Ends the body of the answer; `signal` if it is not given. */
  readonly bodySignal?: AbortSignal | undefined;
}

/** Calls the routes of the contract with the token or as the page, and repeats calls that fail for the moment. */
export class Requests {
  readonly attempts: number;
  readonly fetch: typeof fetch;
  readonly #base: string;
  readonly #credential: Record<string, string>;
  readonly #answerSeconds: number;
  readonly #changeHeaders: Record<string, string>;
  readonly #contract = import('./contract.js');

  /** @throws TypeError if `baseUrl` is not a URL, or a header can't carry the token */
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

  /**
   * Calls a route that answers with JSON.
   *
   * @throws TrainyardError; DOMException TimeoutError if the answer takes longer than `answerSeconds`
   */
  async json<N extends RouteName>(name: N, params: ParamsOf<N>, call?: RouteCall<N>): Promise<AnswerOf<N>> {
    return (await this.change(name, params, call)).answer;
  }

  /**
   * Calls a route that answers with JSON.
   *
   * @returns `isRepeated` if an earlier attempt may have been carried out, and its answer was lost: this one then finds what it did
   * @throws as `json` does
   */
  async change<N extends RouteName>(name: N, params: ParamsOf<N>, call: RouteCall<N> = {}) {
    const { addressOf, checkedAnswer } = await this.#contract;
    const { method, target } = addressOf(name, params, call.query);
    const request = requestOf(call);
    const work = (attempt: AbortSignal | undefined, isRepeated: boolean) =>
      withTimeout(this.#answerSeconds * 1000, (timeout) =>
        withAnySignal([attempt, timeout], async (signal) => {
          // The body is read within the attempt: a connection may break in the middle of an answer.
          const answer = await jsonOf(await this.once(method, target, { ...request, signal }));
          return { answer: checkedAnswer(name, answer), isRepeated };
        }),
      );
    return withRetries(work, { ...call, attempts: this.attempts });
  }

  /** Calls a route that answers with bytes. */
  async response<N extends RouteName>(name: N, params: ParamsOf<N>, call: RouteCall<N> = {}): Promise<Response> {
    const { method, target } = (await this.#contract).addressOf(name, params, call.query);
    const request = requestOf(call);
    // The body is read after the attempt, and ends with the signal of the caller.
    const work = (signal: AbortSignal | undefined) =>
      this.once(method, target, { ...request, signal, bodySignal: call.signal });
    return withRetries(work, { ...call, attempts: this.attempts });
  }

  /**
   * Uploads a file. If the condition is not met and the file that is there has the same bytes, an earlier attempt may have stored
   * them and lost the answer. They are then sent once more to replace themselves, which changes nothing.
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
    const work = (signal: AbortSignal | undefined) =>
      send({ ifMatch, signal }).catch(async (error) => {
        const current = error instanceof TrainyardError ? error.current : undefined;
        if (!current || !(await hasBytes(current, bytes))) throw error;
        return send({ ifMatch: current.etag, signal });
      });
    return withRetries(work, { attempts: this.attempts, signal: caller });
  }

  /** Calls a route that deletes something. */
  async remove<N extends RouteName>(name: N, params: ParamsOf<N>, { signal: caller, ifMatch }: WriteOptions) {
    const { method, target } = (await this.#contract).addressOf(name, params);
    const headers = conditionHeaders({ ifMatch });
    const work = async (signal: AbortSignal | undefined, isRepeated: boolean) => {
      try {
        await (await this.once(method, target, { headers, signal })).body?.cancel();
      } catch (error) {
        // An earlier attempt may have deleted it and lost the answer. With a condition, the answer is then a 412.
        const isGone = error instanceof TrainyardError && (error.status === 404 || error.current === null);
        if (!isRepeated || !isGone) throw error;
      }
    };
    await withRetries(work, { attempts: this.attempts, signal: caller });
  }

  /**
   * Sends a request without retrying. A target is the part of the URL after the base path of the API.
   *
   * @throws TrainyardError for an answer that is not a success, and as `requireSegments`
   */
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
 * URL parsers drop the segments `.` and `..`, escaped ones too (https://url.spec.whatwg.org/#double-dot-path-segment): a request to
 * delete the file `..` would be one to delete its dataset.
 *
 * @throws TrainyardError 404 for a target with such an id or filename, or an empty one
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
