import { sql } from 'kysely';
import { microsClock } from '../../clock.js';
import type { Micros } from '../../dataset/dataset.js';
import type { Query } from './database.js';

const MEASURE_INTERVAL_MS = 30_000;
const MEASUREMENTS = 3;

/** The time of the process that is steady, whatever anybody does to the clock of the machine, in microseconds. */
function steadyTime(): Micros {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

/**
 * The clock of the database, which decides for all processes on it: local time corrected by how far it is from the
 * database's, half of a round trip being the way there.
 */
export class DatabaseClock {
  readonly now = microsClock(() => this.#local() + this.#offset);
  readonly #query: Query;
  readonly #local: () => Micros;
  readonly #timer: NodeJS.Timeout;
  #offset: Micros = 0;

  private constructor(query: Query, local: () => Micros) {
    this.#query = query;
    this.#local = local;
    // Where the database doesn't answer, the last correction is still the best one.
    this.#timer = setInterval(() => this.#measure().catch(() => {}), MEASURE_INTERVAL_MS).unref();
  }

  static async open(query: Query, local: () => Micros = steadyTime): Promise<DatabaseClock> {
    const clock = new DatabaseClock(query, local);
    await clock.#measure();
    return clock;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** The quickest of several round trips tells most exactly. */
  async #measure(): Promise<void> {
    let quickest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < MEASUREMENTS; i++) {
      const asked = this.#local();
      const { rows } = await sql<{ micros: Micros }>`
        select (extract(epoch from clock_timestamp()) * 1000000)::bigint as micros`.execute(this.#query);
      const answered = this.#local();
      if (answered - asked >= quickest) continue;
      quickest = answered - asked;
      this.#offset = Math.round(rows[0]!.micros - (asked + answered) / 2);
    }
  }
}
