import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics for Prometheus. Labels are routes and outcomes, never names or ids. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new Histogram({
    name: 'trainyard_http_request_duration_seconds',
    help: 'Time from the start of a request to the end of its response.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600],
    registers: [this.#registry],
  });
  readonly #uploads = new Counter({
    name: 'trainyard_uploads_total',
    help: 'Finalized and rejected uploads, by transport and outcome.',
    labelNames: ['via', 'outcome'],
    registers: [this.#registry],
  });
  readonly #uploadedBytes = new Counter({
    name: 'trainyard_uploaded_bytes_total',
    help: 'Bytes of uploads that were stored.',
    registers: [this.#registry],
  });

  /** @param inspectionLoad returns the number of files being inspected or waiting for it */
  constructor(inspectionLoad: () => number) {
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: 'trainyard_inspections',
      help: 'Files being inspected or waiting for it.',
      registers: [this.#registry],
      collect() {
        this.set(inspectionLoad());
      },
    });
  }

  answered({ seconds, ...labels }: { method: string; route: string; status: number; seconds: number }): void {
    this.#requests.observe(labels, seconds);
  }

  uploaded(via: 'direct' | 'link' | 'presigned', sizeBytes: number): void {
    this.#uploads.inc({ via, outcome: 'stored' });
    this.#uploadedBytes.inc(sizeBytes);
  }

  rejected(via: 'direct' | 'link' | 'presigned'): void {
    this.#uploads.inc({ via, outcome: 'refused' });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
