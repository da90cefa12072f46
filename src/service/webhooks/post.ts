import { type IncomingMessage, type RequestOptions, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { untilAborted, withAnySignal, withTimeout } from '../../abort-signals.js';
import { type Address, type AllowedAddresses, AddressNotAllowed } from './allowed-addresses.js';

/** For the name server, the answer, and the part of its body that is read. */
const POST_TIMEOUT_MS = 15_000;

/** Answers such as 100 and 103 cost little to send, and block the event loop to parse. */
const MAX_INTERIM_ANSWERS = 20;

/** What is read of a body, so that a receiver sees its end. */
const MAX_BODY_BYTES = 16 * 1024;

export interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly allowed: AllowedAddresses;
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

/** The HTTP status, or why there is none, for a person. */
export type Posted = { readonly status: number } | { readonly failure: string };

/** Sends a POST to the address that was checked, without another resolution. @throws the signal's reason */
export async function post(url: URL, options: PostOptions): Promise<Posted> {
  const { headers, body, allowed, timeoutMs: ms = POST_TIMEOUT_MS, signal } = options;
  const work = async (ending: AbortSignal) => {
    const lookup = lookupIn(await untilAborted(allowed.resolve(url), ending));
    const limits = { maxInterimAnswers: MAX_INTERIM_ANSWERS };
    const response = await sendRequest(url, { method: 'POST', headers, lookup, signal: ending, ...limits }, body);
    await discard(response);
    return { status: response.statusCode ?? 0 };
  };
  return withinTime({ ms, signal }, work, (failure) => ({ failure }));
}

/**
 * Runs work that sends a request, and ends it after a time.
 *
 * @param onFailure gets the reason in words
 * @throws the signal's reason
 */
export async function withinTime<T, F>(
  { ms, signal }: { ms: number; signal: AbortSignal },
  work: (ending: AbortSignal) => Promise<T>,
  onFailure: (words: string, isLate: boolean) => F,
): Promise<T | F> {
  return withTimeout(ms, async (timeout) => {
    try {
      return await withAnySignal([signal, timeout], work);
    } catch (error) {
      signal.throwIfAborted();
      const words = timeout.aborted ? `No answer within ${ms / 1000} seconds.` : connectionFailure(error);
      return onFailure(words, timeout.aborted);
    }
  });
}

/** Sends a request. `fetch` would end it after 300 s without an answer, and follow redirects. @returns the answer, whose body is to be read */
export function sendRequest(
  url: URL,
  { maxInterimAnswers = Number.POSITIVE_INFINITY, ...options }: RequestOptions & { maxInterimAnswers?: number },
  body?: string,
): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    // A connection that is kept alive may be closed as the next request is sent, and was checked for an earlier one.
    const sent = send(url, { ...options, agent: false }, resolve);
    // Once the answer has begun, its stream has the error.
    sent.on('error', reject);
    let interim = 0;
    sent.on('information', () => {
      if (++interim > maxInterimAnswers) sent.destroy(new TooManyInterimAnswers());
    });
    sent.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.destroy());
    });
    sent.end(body);
  });
}

class TooManyInterimAnswers extends Error {}

function lookupIn(addresses: readonly Address[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses;
    if (all || first === undefined) callback(null, [...addresses]);
    else callback(null, first.address, first.family);
  };
}

/** Reads the beginning of a body, and closes the connection. */
async function discard(response: IncomingMessage): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length;
      if (bytes > MAX_BODY_BYTES) break;
    }
  } catch {
    // The body is not used.
  } finally {
    response.destroy();
  }
}

const UNKNOWN_AUTHORITY =
  'The certificate of the receiver is not signed by a known authority. Send all certificates of its chain, or ask the operator of this server to add your authority with NODE_EXTRA_CA_CERTS.';

const REASONS: Record<string, string> = {
  ENOTFOUND: 'The name of its host is unknown.',
  ENODATA: 'The name of its host has no address.',
  ETIMEOUT: 'The name server did not answer.',
  ESERVFAIL: 'The name server failed.',
  ECONNREFUSED: 'The host refused the connection.',
  ECONNRESET: 'The receiver closed the connection without an answer.',
  EHOSTUNREACH: 'The host is unreachable.',
  ENETUNREACH: 'The host is unreachable.',
  ETIMEDOUT: 'The host did not answer.',
  CERT_HAS_EXPIRED: 'The certificate of the receiver has expired. Renew it.',
  CERT_NOT_YET_VALID:
    'The certificate of the receiver is not valid yet. Compare its dates with the clock of this server.',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  ERR_TLS_CERT_ALTNAME_INVALID:
    'The certificate of the receiver is for another name. Use a URL with a name that the certificate has.',
};

/** Not the error's own message, which may have an address of a private network. */
function connectionFailure(error: unknown): string {
  if (error instanceof AddressNotAllowed) return error.message;
  if (error instanceof TooManyInterimAnswers) return 'The receiver sent only interim answers, such as 100 Continue.';
  // The error of the last address stands for all.
  const cause = error instanceof AggregateError ? error.errors.at(-1) : error;
  const code = String((cause as { code?: unknown } | undefined)?.code ?? '');
  if (code.startsWith('HPE_')) return 'The answer is not valid HTTP.';
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return tlsFailureOf(String(cause));
  return REASONS[code] ?? `The request failed${code === '' ? '' : ` (${code})`}.`;
}

/** OpenSSL gives the number of an alert from the receiver (RFC 8446, section 6); Node has one code for most failures. */
function tlsFailureOf(message: string): string {
  const [, alert] = /SSL alert number (\d+)/.exec(message) ?? [];
  if (alert === undefined) {
    return 'The receiver does not speak TLS. Check that the URL begins with http or https as it should.';
  }
  return `The receiver rejected the TLS connection with alert ${alert}. It must accept TLS 1.2 or 1.3, the name of the URL, and a client without a certificate.`;
}
