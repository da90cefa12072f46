import { setTimeout as wait } from 'node:timers/promises';
import { wireReadiness } from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { App, RouteContext } from '../context.js';

/** Load balancers probe every few seconds, while a database that hangs may take longer to fail. */
const READY_TIMEOUT_MS = 5000;

/** Routes for load balancers and monitoring. */
export function registerOperationRoutes(app: App, { checkReady, metrics, ffmpeg }: RouteContext): void {
  app.get('/healthz', { schema: { tags: ['operations'], summary: 'Whether the process is alive' } }, async () => ({
    status: 'ok',
  }));

  app.get(
    '/readyz',
    {
      schema: {
        tags: ['operations'],
        summary: 'Whether the catalog and the blob store answer',
        response: { 200: wireReadiness },
      },
    },
    async () => {
      const answered = new AbortController();
      const timeout = wait(READY_TIMEOUT_MS, undefined, { signal: answered.signal }).then(() => {
        throw new Error(`No answer within ${READY_TIMEOUT_MS} ms.`);
      });
      await Promise.race([checkReady(), timeout])
        .catch((error) => {
          throw new ServiceError('unavailable', 'The catalog or the blob store does not answer.', { cause: error });
        })
        .finally(() => answered.abort());
      return { status: 'ready' as const, ffmpeg: ffmpeg ?? null };
    },
  );

  app.get(
    '/metrics',
    { schema: { tags: ['operations'], summary: 'Metrics for Prometheus' } },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
}
