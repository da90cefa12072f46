import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { type RawBuilder, sql } from 'kysely';
import pg from 'pg';
import { withAnySignal } from '../../abort-signals.js';
import { type AnnouncedChange, ChangeFeed, type Database } from './database.js';
import { clientConfigOf } from './postgres.js';

const CHANNEL = 'trainyard';
/** Pings detect a dead connection that the operating system has not reported. */
const PING_MS = 10_000;
const RESPONSE_TIMEOUT_MS = 5000;
const CLOSE_TIMEOUT_MS = 1000;
/** Postgres rejects longer payloads (https://www.postgresql.org/docs/current/sql-notify.html), and with them the transaction. */
const MAX_PAYLOAD_BYTES = 7999;
const MIN_RETRY_DELAY_MS = 100;
const MAX_RETRY_DELAY_MS = 5000;

const SILENCE =
  'the database does not deliver notifications (LISTEN and NOTIFY), as behind PgBouncer in transaction mode: changes by other instances are seen up to 15 seconds late. Connect to Postgres itself, or use pool_mode = session; see docs/scaling.md';

/**
 * Sends messages between the processes on one Postgres database with NOTIFY, and receives them on a connection of its own,
 * which it reopens after every failure.
 */
export class Notifications {
  readonly changes = new ChangeFeed((change) => [notifying(payloadOf(this.#sender, change))]);
  /** Marks the messages of this process, which it receives too. */
  readonly #sender = randomUUID();
  readonly #connection: pg.ClientConfig;
  readonly #db: Database;
  readonly #onWarning: ((message: string) => void) | undefined;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #onSelfTest = () => {};
  #isWarned = false;

  /** @param onWarning called once if the database accepts messages and does not deliver them */
  constructor(url: string, db: Database, onWarning: ((message: string) => void) | undefined) {
    this.#connection = { ...clientConfigOf(url), query_timeout: RESPONSE_TIMEOUT_MS };
    this.#db = db;
    this.#onWarning = onWarning;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let delayMs = MIN_RETRY_DELAY_MS;
    while (!signal.aborted) {
      const client = new pg.Client(this.#connection);
      // These events only end the pause; the next ping then fails.
      const broken = new AbortController();
      const onBreak = () => broken.abort();
      client.on('error', onBreak).on('end', onBreak);
      signal.addEventListener('abort', onBreak);
      client.on('notification', ({ payload = '' }) => this.#receive(payload));
      try {
        await client.connect();
        await client.query(`listen ${CHANNEL}`);
        delayMs = MIN_RETRY_DELAY_MS;
        let isDelivered = false;
        while (!signal.aborted && !broken.signal.aborted) {
          if (!isDelivered) {
            isDelivered = await this.#testDelivery(broken.signal);
            if (!isDelivered && !broken.signal.aborted) this.#warn();
            // Earlier messages may be missed.
            this.changes.announceGap();
          }
          await pause(PING_MS, broken.signal);
          if (!signal.aborted) await client.query('select 1');
        }
      } catch {
        // After any error the loop opens a new connection.
      }
      signal.removeEventListener('abort', onBreak);
      await Promise.race([client.end(), pause(CLOSE_TIMEOUT_MS, new AbortController().signal)]).catch(() => {});
      await pause(delayMs, signal);
      delayMs = Math.min(delayMs * 2, MAX_RETRY_DELAY_MS);
    }
  }

  /** Returns whether a message to this process arrives. A pooler that hands out connections by transaction loses messages. */
  async #testDelivery(broken: AbortSignal): Promise<boolean> {
    const arrived = new AbortController();
    this.#onSelfTest = () => arrived.abort();
    await this.#db.run(notifying(JSON.stringify({ sender: this.#sender })));
    await withAnySignal([arrived.signal, broken], (either) => pause(RESPONSE_TIMEOUT_MS, either));
    return arrived.signal.aborted;
  }

  #warn(): void {
    if (!this.#isWarned) this.#onWarning?.(SILENCE);
    this.#isWarned = true;
  }

  #receive(payload: string): void {
    const message = messageIn(payload);
    if (message === undefined) {
      this.changes.announceGap();
    } else if (message.sender === this.#sender) {
      if (message.datasetId === undefined) this.#onSelfTest();
    } else if (message.datasetId !== undefined) {
      const { datasetId, filenames, captionRun } = message;
      this.changes.announce({ datasetId, filenames, captionRun });
    }
  }
}

function notifying(payload: string): RawBuilder<unknown> {
  return sql`select pg_notify(${sql.lit(CHANNEL)}, ${payload})`;
}

function payloadOf(sender: string, { datasetId, filenames, captionRun }: AnnouncedChange): string {
  const payload = JSON.stringify({ sender, datasetId, filenames, captionRun });
  return Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES ? JSON.stringify({ sender, datasetId }) : payload;
}

/** `undefined` for the message of another version, which may concern any dataset. */
function messageIn(payload: string): (Partial<AnnouncedChange> & { readonly sender?: string }) | undefined {
  try {
    const { sender, datasetId, filenames, captionRun } = JSON.parse(payload);
    const areNames = Array.isArray(filenames) && filenames.every((name) => typeof name === 'string');
    return { sender, datasetId, captionRun, filenames: areNames ? filenames : undefined };
  } catch {
    return undefined;
  }
}

/** Ends early if the signal fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false }).catch(() => {});
}
