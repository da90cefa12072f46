import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import type { InstanceMessage, NotifyInstances } from './change-feed.js';
import type { Query } from './database.js';
import { clientConfigOf } from './postgres.js';

const CHANNEL = 'trainyard';
/** A connection that has gone quiet is found out by asking. */
const PING_MS = 10_000;
const SILENCE_MS = 5000;
const GOODBYE_MS = 1000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5000;

export interface Listener {
  /** What another process has told. */
  readonly onMessage: (message: InstanceMessage) => void;
  /** Listening begins, or has begun again: what was told before may have gone unheard. */
  readonly onConnect: () => void;
  /** From here on nothing is heard. */
  readonly onDisconnect: () => void;
}

/**
 * What the processes on one Postgres database tell each other through NOTIFY
 * (https://www.postgresql.org/docs/current/sql-notify.html), heard through a connection of its own. It is made in the
 * background and again whenever it breaks.
 */
export class Notifications {
  /** Messages of this process come back to it too, and are known by it. */
  readonly #sender = randomUUID();
  readonly #connection: pg.ClientConfig;
  readonly #query: Query;
  readonly #listener: Listener;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  constructor(url: string, query: Query, listener: Listener) {
    this.#connection = { ...clientConfigOf(url), query_timeout: SILENCE_MS };
    this.#query = query;
    this.#listener = listener;
    this.#running = this.#run();
  }

  readonly notifyInstances: NotifyInstances = (message) => [
    {
      compile: () =>
        sql<unknown>`select pg_notify(${sql.lit(CHANNEL)}, ${`${this.#sender} ${message}`})`.compile(this.#query),
    },
  ];

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let delayMs = FIRST_DELAY_MS;
    while (!signal.aborted) {
      const client = new pg.Client(this.#connection);
      // It shows in the next ping, which the event only hastens.
      const broken = new AbortController();
      const onBreak = () => broken.abort();
      client.on('error', onBreak).on('end', onBreak);
      signal.addEventListener('abort', onBreak);
      client.on('notification', ({ payload = '' }) => this.#hear(payload));
      try {
        await client.connect();
        await client.query(`listen ${CHANNEL}`);
        delayMs = FIRST_DELAY_MS;
        this.#listener.onConnect();
        while (!signal.aborted && !broken.signal.aborted) {
          await pause(PING_MS, broken.signal);
          if (!signal.aborted) await client.query('select 1');
        }
      } catch {
        // Whatever it was, a new connection is the answer.
      }
      this.#listener.onDisconnect();
      signal.removeEventListener('abort', onBreak);
      await Promise.race([client.end(), pause(GOODBYE_MS, new AbortController().signal)]).catch(() => {});
      await pause(delayMs, signal);
      delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
    }
  }

  #hear(payload: string): void {
    const space = payload.indexOf(' ');
    if (payload.slice(0, space) !== this.#sender) this.#listener.onMessage(payload.slice(space + 1) as InstanceMessage);
  }
}

/** Ends early when the signal fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false }).catch(() => {});
}
