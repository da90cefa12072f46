import { setTimeout as wait } from 'node:timers/promises';
import { wireHealth, wireReadiness } from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { App, RouteContext } from '../context.js';
import { bytesOf, routesTagged } from '../docs.js';

const route = routesTagged('operations');

/** Load balancers probe every few seconds, while a database that hangs may take longer to fail. */
const READY_TIMEOUT_MS = 5000;

/** Routes for load balancers and monitoring. */
export function registerOperationRoutes(app: App, { checkReady, metrics, ffmpeg, uploadOrigin }: RouteContext): void {
  let checking: Promise<void> | undefined;
  /** Joins a check that is running: probes need no token, and each check writes to the store. */
  const checkOnce = () => {
    checking ??= checkReady().finally(() => {
      checking = undefined;
    });
    return checking;
  };

  app.get('/healthz', route('Whether the process is alive', { response: { 200: wireHealth } }), async () => ({
    status: 'ok' as const,
  }));

  app.get(
    '/readyz',
    route('Whether the catalog and the blob store answer', { response: { 200: wireReadiness } }),
    async () => {
      const answered = new AbortController();
      const timeout = wait(READY_TIMEOUT_MS, undefined, { signal: answered.signal }).then(() => {
        throw new Error(`No answer within ${READY_TIMEOUT_MS} ms.`);
      });
      await Promise.race([checkOnce(), timeout])
        .catch((error) => {
          throw new ServiceError('unavailable', 'The catalog or the blob store does not answer.', { cause: error });
        })
        .finally(() => answered.abort());
      const upload_links_to = uploadOrigin === undefined ? ('service' as const) : ('bucket' as const);
      return { status: 'ready' as const, ffmpeg: (await ffmpeg()) ?? null, upload_links_to };
    },
  );

  app.get(
    '/metrics',
    route('Metrics for Prometheus', {
      response: { 200: bytesOf('The metrics.', { types: [metrics.contentType] }) },
    }),
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
}
