import { setTimeout as wait } from 'node:timers/promises';
import { ServiceError } from '../../dataset/errors.js';
import type { App, RouteContext } from '../context.js';

/** A load balancer asks every few seconds; who waits for a database that has fallen silent does so for longer. */
const READY_MS = 5000;

/** What load balancers and monitors ask. */
export function registerOperationRoutes(app: App, { checkReady, metrics }: RouteContext): void {
  app.get('/healthz', { schema: { tags: ['operations'], summary: 'Whether the process is alive' } }, async () => ({
    status: 'ok',
  }));

  app.get(
    '/readyz',
    { schema: { tags: ['operations'], summary: 'Whether the catalog and the blob store answer' } },
    async () => {
      const answered = new AbortController();
      const late = wait(READY_MS, undefined, { signal: answered.signal }).then(() => {
        throw new Error(`They have not answered within ${READY_MS} ms.`);
      });
      await Promise.race([checkReady(), late])
        .catch((error) => {
          throw new ServiceError('unavailable', 'The catalog or the blob store does not answer.', { cause: error });
        })
        .finally(() => answered.abort());
      return { status: 'ready' };
    },
  );

  app.get(
    '/metrics',
    { schema: { tags: ['operations'], summary: 'Metrics for Prometheus' } },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
}
