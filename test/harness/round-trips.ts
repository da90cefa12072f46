import type { TcpProxy } from './tcp-proxy.js';

/** What goes on whether anybody asks for anything or not. */
const IN_THE_BACKGROUND = /listen trainyard|select 1\b|clock_timestamp|"delete_after" <=|"arriving_until" <=/;
/**
 * A new connection: its first message has no letter before it, and that of a password a small one. Statements have capitals,
 * and so has the goodbye, which nobody answers.
 */
const NO_STATEMENT = /^[\0pX]/;
const TOKEN_LOOKUP = /from "token"/;

/** The round trips that requests have cost so far, as the proxy in front of Postgres saw them: what each of them sent. */
export function tripsForRequests(proxy: TcpProxy): { changes: readonly string[]; lookups: readonly string[] } {
  const trips = proxy.conversations
    .flatMap((each) => each.trips)
    .filter((text) => !IN_THE_BACKGROUND.test(text) && !NO_STATEMENT.test(text));
  return {
    changes: trips.filter((text) => !TOKEN_LOOKUP.test(text)),
    /** Of a token, which is remembered for some seconds. */
    lookups: trips.filter((text) => TOKEN_LOOKUP.test(text)),
  };
}
