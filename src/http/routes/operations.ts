import { ServiceError } from '../../dataset/errors.js';
import type { App, RouteContext } from '../context.js';

/** What load balancers and monitors ask. */
export function registerOperationRoutes(app: App, { checkReady, metrics, version }: RouteContext): void {
  app.get('/', { schema: { hide: true } }, async () => ({ name: 'trainyard', version, documentation: '/docs' }));

  app.get('/healthz', { schema: { tags: ['operations'], summary: 'Whether the process is alive' } }, async () => ({
    status: 'ok',
  }));

  app.get(
    '/readyz',
    { schema: { tags: ['operations'], summary: 'Whether the catalog and the blob store answer' } },
    async () => {
      await checkReady().catch((error) => {
        throw new ServiceError('unavailable', 'The catalog or the blob store does not answer.', { cause: error });
      });
      return { status: 'ready' };
    },
  );

  app.get(
    '/metrics',
    { schema: { tags: ['operations'], summary: 'Metrics for Prometheus' } },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
}
