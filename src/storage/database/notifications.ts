import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import type { InstanceMessage, NotifyInstances } from './change-feed.js';
import type { Query } from './database.js';
import { clientConfigOf } from './postgres.js';

const CHANNEL = 'trainyard';
/** Pings detect a dead connection that the operating system has not reported. */
const PING_MS = 10_000;
const RESPONSE_TIMEOUT_MS = 5000;
const CLOSE_TIMEOUT_MS = 1000;
const MIN_RETRY_DELAY_MS = 100;
const MAX_RETRY_DELAY_MS = 5000;

export interface Listener {
  /** Another process has sent a message. */
  readonly onMessage: (message: InstanceMessage) => void;
  /** The process listens (again). Messages that were sent before may be missed. */
  readonly onConnect: () => void;
  /** The connection is lost: messages are missed until `onConnect`. */
  readonly onDisconnect: () => void;
}

/**
 * Sends messages between the processes on one Postgres database with NOTIFY
 * (https://www.postgresql.org/docs/current/sql-notify.html), and receives them on a connection of its own, which it opens
 * in the background and reopens after every failure.
 */
export class Notifications {
  /** Marks the messages of this process, which Postgres delivers to it too. */
  readonly #sender = randomUUID();
  readonly #connection: pg.ClientConfig;
  readonly #query: Query;
  readonly #listener: Listener;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  constructor(url: string, query: Query, listener: Listener) {
    this.#connection = { ...clientConfigOf(url), query_timeout: RESPONSE_TIMEOUT_MS };
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
    let delayMs = MIN_RETRY_DELAY_MS;
    while (!signal.aborted) {
      const client = new pg.Client(this.#connection);
      // These events only end the pause early; the next ping then fails.
      const broken = new AbortController();
      const onBreak = () => broken.abort();
      client.on('error', onBreak).on('end', onBreak);
      signal.addEventListener('abort', onBreak);
      client.on('notification', ({ payload = '' }) => this.#receive(payload));
      try {
        await client.connect();
        await client.query(`listen ${CHANNEL}`);
        delayMs = MIN_RETRY_DELAY_MS;
        this.#listener.onConnect();
        while (!signal.aborted && !broken.signal.aborted) {
          await pause(PING_MS, broken.signal);
          if (!signal.aborted) await client.query('select 1');
        }
      } catch {
        // After any error the loop opens a new connection.
      }
      this.#listener.onDisconnect();
      signal.removeEventListener('abort', onBreak);
      await Promise.race([client.end(), pause(CLOSE_TIMEOUT_MS, new AbortController().signal)]).catch(() => {});
      await pause(delayMs, signal);
      delayMs = Math.min(delayMs * 2, MAX_RETRY_DELAY_MS);
    }
  }

  #receive(payload: string): void {
    const space = payload.indexOf(' ');
    if (payload.slice(0, space) !== this.#sender) this.#listener.onMessage(payload.slice(space + 1) as InstanceMessage);
  }
}

/** Waits for the time, or until the signal fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false }).catch(() => {});
}
