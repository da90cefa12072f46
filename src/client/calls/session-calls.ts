import type { WireSession, WireSignInCode } from '../../api/account/session-schemas.js';
import { PAGE_HEADER } from '../../api/base-path.js';
import { SESSION, SIGN_IN_CODE } from '../answer/answer-shape.js';
import type { CallOptions, Requests } from '../requests.js';

/** Signs the page of the service in and out, by a cookie that scripts can't read. trainyard only. */
export class SessionCalls {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Starts a session in this browser, with the rights of the client's token or, without a token, with a code. Only the page
   * of the service can: the browser then has the cookie for clients with `session`.
   * @example const { id } = await client.sessions.start();
   */
  start({ code, ...options }: CallOptions & { code?: string } = {}): Promise<WireSession> {
    // A code works once, also if its answer is lost.
    const request = { isRepeatable: false, headers: { [PAGE_HEADER]: '1' }, ...(code && { body: { code } }) };
    return this.#requests.json('POST', '/session', SESSION, { ...request, ...options });
  }

  /**
   * Ends the session of this browser.
   * @example await client.sessions.end();
   */
  end(options: CallOptions = {}): Promise<void> {
    return this.#requests.remove('/session', options);
  }

  /**
   * Makes a code that signs in one browser, once, within a minute: open the page with `#code=` and the code.
   * @example const { code, token_id } = await client.sessions.code();
   */
  code(options: CallOptions = {}): Promise<WireSignInCode> {
    return this.#requests.json('POST', '/session/codes', SIGN_IN_CODE, options);
  }
}
