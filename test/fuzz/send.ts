import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { ReceivedAnswer } from './document.js';
import type { FuzzRequest } from './requests.js';

/** Far more than the slowest answer takes, also on a busy machine. */
const DEADLINE_MS = 60_000;

/** How long a client waits for an operation that may answer late, before it disconnects. */
const PATIENCE_MS = 300;

/** Sends requests over one connection as long as the server keeps it open, so that an answer that does not end is found. */
export class Sender {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /**
   * @param options.mayWait whether the answer may begin late, or never end: the client disconnects then
   * @returns `undefined` if the client disconnected
   * @throws Error if the connection broke, or no answer came
   */
  async send(
    { method, path, headers, body }: FuzzRequest,
    options: { mayWait: boolean },
  ): Promise<ReceivedAnswer | undefined> {
    const given = [...headers, ...(body === undefined ? [] : [['content-length', String(body.length)] as const])];
    const host = given.some(([name]) => name === 'host') ? [] : [['host', this.#url.host] as const];
    const signal = AbortSignal.timeout(options.mayWait ? PATIENCE_MS : DEADLINE_MS);
    const call = httpRequest({
      host: this.#url.hostname,
      port: this.#url.port,
      agent: this.#agent,
      method,
      path,
      headers: [...host, ...given].flat() as never,
      signal,
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      call.once('response', resolve);
      call.on('error', reject);
    });
    call.end(body);
    try {
      const response = await answered;
      const isStream = response.headers['content-type']?.startsWith('text/event-stream') === true && method !== 'HEAD';
      const bytes = isStream ? Buffer.alloc(0) : await buffer(response);
      if (isStream) call.destroy();
      return { status: response.statusCode ?? 0, headers: response.headers as ReceivedAnswer['headers'], body: bytes };
    } catch (error) {
      if (!signal.aborted) throw error;
      if (options.mayWait) return undefined;
      throw new Error(`no answer came within ${DEADLINE_MS} ms`);
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
