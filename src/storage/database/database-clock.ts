import { sql } from 'kysely';
import { microsClock, monotonicTime } from '../../clock.js';
import type { Micros } from '../../dataset/dataset.js';
import type { Query } from './database.js';

const MEASURE_INTERVAL_MS = 30_000;
const MEASUREMENTS = 3;

/**
 * Estimates the time of the database: local time plus an offset. A measurement assumes that the database read its clock
 * halfway through the round trip.
 */
export class DatabaseClock {
  readonly now: () => Micros;
  /** May be earlier than the estimate before. */
  readonly estimate: () => Micros;
  readonly #query: Query;
  readonly #local: () => Micros;
  readonly #timer: NodeJS.Timeout;
  #offset: Micros = 0;

  private constructor(query: Query, local: () => Micros) {
    this.#query = query;
    this.#local = local;
    this.estimate = () => local() + this.#offset;
    this.now = microsClock(this.estimate, local);
    // While the database does not answer, the last offset stays in use.
    this.#timer = setInterval(() => this.#measure().catch(() => {}), MEASURE_INTERVAL_MS).unref();
  }

  static async open(query: Query, local: () => Micros = monotonicTime): Promise<DatabaseClock> {
    const clock = new DatabaseClock(query, local);
    await clock.#measure();
    return clock;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Takes the offset of the fastest round trip, which is the most exact. */
  async #measure(): Promise<void> {
    let fastest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < MEASUREMENTS; i++) {
      const sentAt = this.#local();
      const { rows } = await sql<{ micros: Micros }>`
        select (extract(epoch from clock_timestamp()) * 1000000)::bigint as micros`.execute(this.#query);
      const receivedAt = this.#local();
      if (receivedAt - sentAt >= fastest) continue;
      fastest = receivedAt - sentAt;
      this.#offset = Math.round(rows[0]!.micros - (sentAt + receivedAt) / 2);
    }
  }
}
