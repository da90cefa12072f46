import type { FastifyRequest } from 'fastify';
import { BASE_PATH } from '../../api/base-path.js';
import { ServiceError } from '../../dataset/errors.js';
import type { DatasetScope } from '../../service/dataset-view.js';

/** The routes that a share may use, by method and path below the base path: those that read the current files of a dataset. */
const SHARED_ROUTES: ReadonlySet<string> = new Set([
  'GET ',
  'GET /:id/status',
  'GET /:id/manifest',
  'GET /:id/events',
  'GET /:id/links',
  'GET /:id/pairs',
  'GET /:id/files',
  'GET /:id/files/:filename',
  'GET /:id/files/:filename/thumbnail',
  'GET /:id/zip',
  'POST /:id/archive',
  'POST /:id/captions',
]);

/**
 * Rejects what a share does not show: other routes, and earlier revisions, whose files may have been deleted because others must
 * not see them.
 *
 * @throws ServiceError `not_allowed`
 */
export function requireShared({ method, query, routeOptions }: FastifyRequest): void {
  const path = routeOptions.url?.replace(BASE_PATH, '') ?? '';
  const { revision, digest } = query as Record<string, unknown>;
  const isShared = SHARED_ROUTES.has(`${method === 'HEAD' ? 'GET' : method} ${path}`);
  if (isShared && revision === undefined && digest === undefined) return;
  throw new ServiceError('not_allowed', 'A share link shows the current files of one dataset, and nothing else.');
}

/** What the answer to a request may say of datasets other than the one that it names. */
export function scopeOf({ grant }: Pick<FastifyRequest, 'grant'>): DatasetScope {
  return { boundIds: grant?.datasetIds ?? null, isShare: grant?.kind === 'share' };
}
