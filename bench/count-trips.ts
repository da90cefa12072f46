import type { TcpProxy } from '../test/harness/tcp-link.js';

/** Statements that the server sends without a request. */
const BACKGROUND_STATEMENTS =
  /listen trainyard|select 1\0|clock_timestamp|"delete_after" <=|"lease_until" <=|"live_until" <=|"history_bytes" >|with recursive owner|(?:update|delete from) "job"/;
/** Retention locks a dataset before it reads; a request reads files in the same trip. */
const RETENTION = /for no key update(?![\s\S]*(?:from|join) "?file\b)|from "?revision\b|from "?past_file\b/;
/**
 * Messages of a new connection: the startup message has no type byte, and a password message a lower-case one. Statements
 * have upper-case ones, and so has Terminate (`X`), which has no answer.
 */
const NO_STATEMENT = /^[\0pX]/;

/** The bytes sent in each round trip that requests have cost so far, as seen by the proxy in front of Postgres. */
export function tripsForRequests(proxy: TcpProxy): readonly string[] {
  return proxy.conversations
    .flatMap((each) => each.trips)
    .filter((text) => !BACKGROUND_STATEMENTS.test(text) && !RETENTION.test(text) && !NO_STATEMENT.test(text));
}
