import { BASE_PATH } from '../api/base-path.js';
import { withRetries } from './retry.js';
import { errorOf, jsonOf, TrainyardError } from './trainyard-error.js';

export interface ClientOptions {
  /** Where the service is, such as `https://data.example`; with or without the API's base path. */
  readonly baseUrl: string;
  readonly token: string;
  /** Tries of each request in all, where trying again may help; 5 unless told. */
  readonly attempts?: number;
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

interface RequestOptions extends CallOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly attempts?: number;
}

/** How a client asks: where, with which token, and how often. A target begins behind the API's base path. */
export class Requests {
  readonly attempts: number;
  readonly fetch: typeof fetch;
  readonly #base: string;
  readonly #token: string;

  /** @throws TypeError where `baseUrl` is no URL */
  constructor({ baseUrl, token, attempts = 5, fetch = globalThis.fetch }: ClientOptions) {
    const { origin, pathname } = new URL(baseUrl);
    this.#base = origin + pathname.replace(/\/+$/, '').replace(new RegExp(`${BASE_PATH}$`), '') + BASE_PATH;
    this.#token = token;
    this.attempts = attempts;
    // Called as a method, the browser's own fetch refuses to work.
    this.fetch = (...args) => fetch(...args);
  }

  urlOf(target: string): string {
    return `${this.#base}${target}`;
  }

  json<T>(method: string, target: string, options: RequestOptions): Promise<T> {
    // Read within the retries: a connection may break in the middle of an answer.
    return this.#request(method, target, options, (response) => jsonOf<T>(response));
  }

  response(method: string, target: string, options: RequestOptions): Promise<Response> {
    return this.#request(method, target, options, async (response) => response);
  }

  async remove(target: string, { signal }: CallOptions): Promise<void> {
    let tries = 0;
    const work = async (own: AbortSignal | undefined) => {
      tries++;
      await (await this.once('DELETE', target, { signal: own })).body?.cancel();
    };
    await withRetries(work, { attempts: this.attempts, signal }).catch((error) => {
      // The first try may have done it although its answer got lost.
      if (tries === 1 || !(error instanceof TrainyardError) || error.status !== 404) throw error;
    });
  }

  /** Without another try. */
  async once(
    method: string,
    target: string,
    { headers, body, signal }: CallOptions & { headers?: Record<string, string> | undefined; body?: FormData | string },
  ): Promise<Response> {
    const response = await this.fetch(this.urlOf(target), {
      method,
      headers: { ...headers, authorization: `Bearer ${this.#token}` },
      // A redirect could carry the token elsewhere, and the API has none.
      redirect: 'error',
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    });
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  #request<T>(
    method: string,
    target: string,
    { body, headers, attempts = this.attempts, signal }: RequestOptions,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const request =
      body === undefined
        ? { headers }
        : { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const work = async (own: AbortSignal | undefined) =>
      read(await this.once(method, target, { ...request, signal: own }));
    return withRetries(work, { attempts, signal });
  }
}
