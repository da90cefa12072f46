import { setTimeout as wait } from 'node:timers/promises';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { JOB_KINDS, type JobCounts } from '../storage/catalog/jobs.js';

/** The counts of jobs need the catalog. */
const MAX_JOBS_MS = 1000;

/** For Prometheus. Labels are routes and outcomes, never names or ids. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Histogram({
    name: 'trainyard_http_request_duration_seconds',
    help: 'Time from the start of a request to the end of its response.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600],
    registers: [this.registry],
  });
  readonly uploads = this.#counter(
    'trainyard_uploads_total',
    'Finalized and rejected uploads, by transport and outcome.',
    ['via', 'outcome'],
  );
  readonly #uploadedBytes = this.#counter('trainyard_uploaded_bytes_total', 'Bytes of uploads that were stored.', []);
  readonly failures = this.#counter(
    'trainyard_error_responses_total',
    'Responses that are not a success, by the name of their error.',
    ['error'],
  );
  /** `delivered`, `retried` or `failed`. */
  readonly webhooks = this.#counter(
    'trainyard_webhook_attempts_total',
    'Attempts to deliver events to webhooks, by outcome.',
    ['outcome'],
  );
  /** `written`, `busy` or a `CaptionOutcome`. */
  readonly captions = this.#counter(
    'trainyard_caption_requests_total',
    'Requests to model servers for captions, by outcome.',
    ['outcome'],
  );
  readonly limits = new Gauge({
    name: 'trainyard_limit',
    help: 'The limits in force, by setting.',
    labelNames: ['setting'],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  /** The value is read whenever the metrics are. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** Missing while the catalog does not answer. @param now in microseconds */
  jobs(read: () => Promise<JobCounts[]>, now: () => number): void {
    const readSoon = () => Promise.race([read(), wait(MAX_JOBS_MS, undefined, { ref: false })]).catch(() => undefined);
    let counts: ReturnType<typeof readSoon> | undefined;
    const registers = [this.registry];
    new Gauge({
      name: 'trainyard_jobs',
      help: 'Jobs by kind: those that wait, those that run, and those whose last attempt failed.',
      labelNames: ['kind', 'state'],
      registers,
      async collect() {
        // The other gauge, which is collected next, shares it.
        counts = readSoon();
        const found = await counts;
        this.reset();
        for (const kind of found === undefined ? [] : JOB_KINDS) {
          const { waiting = 0, running = 0, failed = 0 } = found?.find((each) => each.kind === kind) ?? {};
          for (const [state, count] of Object.entries({ waiting, running, failed })) this.set({ kind, state }, count);
        }
      },
    });
    new Gauge({
      name: 'trainyard_jobs_oldest_seconds',
      help: 'How long the first job of each kind that is due has waited; 0 if none is due.',
      labelNames: ['kind'],
      registers,
      async collect() {
        const found = await counts;
        this.reset();
        for (const kind of found === undefined ? [] : JOB_KINDS) {
          const { oldestDueAt = Number.POSITIVE_INFINITY } = found?.find((each) => each.kind === kind) ?? {};
          this.set({ kind }, Math.max(now() - oldestDueAt, 0) / 1_000_000);
        }
      },
    });
  }

  uploaded(via: 'direct' | 'link' | 'presigned', sizeBytes: number): void {
    this.uploads.inc({ via, outcome: 'stored' });
    this.#uploadedBytes.inc(sizeBytes);
  }
}
