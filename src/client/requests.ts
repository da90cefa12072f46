import { BASE_PATH } from '../api/base-path.js';
import { withRetries } from './retry.js';
import { errorOf, jsonOf, TrainyardError } from './trainyard-error.js';

export interface ClientOptions {
  /** The URL of the service, such as `https://data.example`, with or without the API's base path. */
  readonly baseUrl: string;
  readonly token: string;
  /** Attempts at each request, the first one included; 5 by default. Only temporary failures are retried. */
  readonly attempts?: number;
  /** Replaces the global `fetch`. */
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

/** Sends requests with the token and retries them. A target is the part of the URL after the API's base path. */
export class Requests {
  readonly attempts: number;
  readonly fetch: typeof fetch;
  readonly #base: string;
  readonly #token: string;

  /** @throws TypeError if `baseUrl` is not a URL */
  constructor({ baseUrl, token, attempts = 5, fetch = globalThis.fetch }: ClientOptions) {
    const { origin, pathname } = new URL(baseUrl);
    this.#base = origin + pathname.replace(/\/+$/, '').replace(new RegExp(`${BASE_PATH}$`), '') + BASE_PATH;
    this.#token = token;
    this.attempts = attempts;
    // A browser's fetch throws if it is called as a method of another object.
    this.fetch = (...args) => fetch(...args);
  }

  urlOf(target: string): string {
    return `${this.#base}${target}`;
  }

  json<T>(method: string, target: string, options: RequestOptions): Promise<T> {
    // The body is read within the attempt: a connection may break in the middle of an answer.
    return this.#request(method, target, options, (response) => jsonOf<T>(response));
  }

  response(method: string, target: string, options: RequestOptions): Promise<Response> {
    return this.#request(method, target, options, async (response) => response);
  }

  async remove(target: string, { signal }: CallOptions): Promise<void> {
    let attempt = 0;
    const work = async (attemptSignal: AbortSignal | undefined) => {
      attempt++;
      await (await this.once('DELETE', target, { signal: attemptSignal })).body?.cancel();
    };
    await withRetries(work, { attempts: this.attempts, signal }).catch((error) => {
      // An earlier attempt may have deleted it and lost the answer.
      if (attempt === 1 || !(error instanceof TrainyardError) || error.status !== 404) throw error;
    });
  }

  /** Sends a request without retrying. @throws TrainyardError for an answer that is not a success */
  async once(
    method: string,
    target: string,
    { headers, body, signal }: CallOptions & { headers?: Record<string, string> | undefined; body?: FormData | string },
  ): Promise<Response> {
    const response = await this.fetch(this.urlOf(target), {
      method,
      headers: { ...headers, authorization: `Bearer ${this.#token}` },
      // The API has no redirects, and one could send the token to another host.
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
    const work = async (attemptSignal: AbortSignal | undefined) =>
      read(await this.once(method, target, { ...request, signal: attemptSignal }));
    return withRetries(work, { attempts, signal });
  }
}

/** The query of a target. Values that are `undefined` are left out. */
export function queryOf(query: Record<string, string | number | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) parameters.set(key, String(value));
  return `?${parameters}`;
}

/** The target of a dataset. */
export function path(id: string): string {
  return `/${encodeURIComponent(id)}`;
}

/** The target of a file of a dataset. */
export function filePath(id: string, filename: string): string {
  return `${path(id)}/files/${encodeURIComponent(filename)}`;
}
