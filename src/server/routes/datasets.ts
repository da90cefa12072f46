import {
  createBody,
  datasetParams,
  listQuery,
  statusQuery,
  wireDataset,
  wireDatasetList,
  wireDatasetWithFiles,
  wireDeletedDataset,
  wireManifest,
} from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { datasetToWire, manifestToWire, viewToWire } from '../to-wire.js';
import { disconnectSignal, streamAllEvents, streamEvents } from './events.js';

const route = routesTagged('datasets');

/** Routes to create, list, read, watch and delete datasets. */
export function registerDatasetRoutes(app: App, context: RouteContext): void {
  const { datasets, watchDataset, stopping } = context;

  app.post(
    '',
    route('Create a dataset', { body: createBody, response: { 200: wireDataset } }),
    async ({ accountId, body }) => datasetToWire(await datasets.create({ accountId, name: body?.name ?? undefined })),
  );

  app.get(
    '',
    route('List datasets, newest first', { querystring: listQuery, response: { 200: wireDatasetList } }),
    async ({ accountId, query }) => {
      const { limit, status, name } = query;
      const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
      // One more than requested shows whether there is another page.
      const found = await datasets.list({ accountId, name, status, after, limit: limit && limit + 1 });
      const page = limit === undefined ? found : found.slice(0, limit);
      const last = page.at(-1);
      return {
        datasets: page.map((summary) => datasetToWire(summary)),
        ...(limit !== undefined && {
          next_cursor: found.length > page.length && last !== undefined ? cursorOf(last.dataset) : null,
        }),
      };
    },
  );

  app.get(
    '/events',
    route('Server-sent events: each dataset after every change, and the id of each deleted dataset', {}),
    async ({ accountId }, reply) => streamAllEvents(reply, accountId, context),
  );

  app.get(
    '/:id/status',
    route("A dataset's status and files", {
      params: datasetParams,
      querystring: statusQuery,
      response: { 200: wireDatasetWithFiles },
    }),
    async ({ accountId, params, query }, reply) => {
      const key = { accountId, id: params.id };
      if (query.wait !== undefined) {
        const signal = AbortSignal.any([
          stopping,
          AbortSignal.timeout(Math.ceil(query.wait * 1000)),
          disconnectSignal(reply),
        ]);
        await waitForStatusChange(watchDataset(key, signal));
      }
      return viewToWire(await datasets.view(key));
    },
  );

  app.get(
    '/:id/manifest',
    route('Every file with its size, SHA-256 and facts, and the digest of the dataset', {
      params: datasetParams,
      response: { 200: wireManifest },
    }),
    async ({ accountId, params }) => manifestToWire(await datasets.view({ accountId, id: params.id })),
  );

  app.get(
    '/:id/events',
    route('Server-sent events: the dataset now, and after every change of its status or counts', {
      params: datasetParams,
    }),
    async ({ accountId, params }, reply) => streamEvents(reply, { accountId, id: params.id }, context),
  );

  app.delete(
    '/:id',
    route('Delete a dataset permanently', { params: datasetParams, response: { 200: wireDeletedDataset } }),
    async ({ accountId, params }) => {
      await datasets.remove({ accountId, id: params.id });
      return { id: params.id, deleted: true as const };
    },
  );
}

/** Returns at the first READY or FAILED, at the first change, or when the watch ends. */
async function waitForStatusChange(summaries: AsyncIterable<{ status: string }>): Promise<void> {
  let first: string | undefined;
  for await (const { status } of summaries) {
    first ??= status;
    if (status !== first || status === 'READY' || status === 'FAILED') return;
  }
}

function cursorOf({ createdAt, id }: { createdAt: number; id: string }): string {
  return Buffer.from(`${createdAt}.${id}`).toString('base64url');
}

function parseCursor(cursor: string): { createdAt: number; id: string } {
  const [, createdAt, id] = /^(\d{1,16})\.(.+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (createdAt === undefined || id === undefined) {
    throw new ServiceError('invalid_field', 'The cursor is invalid. Use the next_cursor of an earlier page.', {
      detail: [{ path: 'cursor', message: 'must be the next_cursor of an earlier page' }],
    });
  }
  return { createdAt: Number(createdAt), id };
}
