import { wireDatasetChange } from '../../api/event-schema.js';
import {
  createBody,
  datasetParams,
  eventsQuery,
  listQuery,
  manifestQuery,
  statusQuery,
} from '../../api/request-schemas.js';
import {
  wireDataset,
  wireDatasetList,
  wireDatasetWithFiles,
  wireDeletedDataset,
  wireManifest,
} from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import { manifestOf } from '../../service/history/revision-manifests.js';
import { StateCache } from '../../storage/state-cache.js';
import { withAnySignal, withTimeout } from '../../abort-signals.js';
import { disconnectSignal } from '../connections/disconnect.js';
import type { App, RouteContext } from '../context.js';
import { bytesOf, routesTagged } from '../docs.js';
import { scopeOf } from '../session/share-access.js';
import { datasetToWire, manifestToWire, viewToWire } from '../to-wire.js';
import { streamAllEvents, streamEvents } from './events.js';

const route = routesTagged('datasets');

const JSON_TYPE = 'application/json; charset=utf-8';

/** The memory for the JSON of statuses, of all datasets, and about what an entry takes beside its JSON. */
const MAX_STATUS_BYTES = 32 * 1024 * 1024;
const ENTRY_BYTES = 500;

const EVENT_STREAM = { types: ['text/event-stream'] };
const ALL_EVENTS = bytesOf(
  'Events until the client disconnects: `dataset` with a Dataset, and `deleted` with `{"id": …}`.',
  EVENT_STREAM,
);
const EVENTS = bytesOf(
  `Events until the client disconnects or the dataset is deleted: \`dataset\` with a Dataset at once and after changes, and \`deleted\` with \`{"id": …}\`. Changes in quick succession are one event. Two more fields of \`dataset\` say which files changed since the event before. \`files\`: ${fieldOf('files')} \`absent\`: ${fieldOf('absent')} The first event of a stream never has them, so a client that reconnects misses nothing.`,
  EVENT_STREAM,
);

/** Routes to create, list, read, watch and delete datasets. */
export function registerDatasetRoutes(app: App, context: RouteContext): void {
  const { datasets, history, watchDataset, stopping } = context;
  // Clients poll a status many times between two changes, and that of ten thousand files takes a tenth of a second to compute.
  const statuses = new StateCache<Buffer>(MAX_STATUS_BYTES);

  app.post(
    '',
    route('Create a dataset', {
      body: createBody,
      response: { 200: wireDataset },
      errors: ['invalid_name', 'name_taken', 'quota_exceeded'],
    }),
    async (request) => {
      const { accountId, body } = request;
      const { name, role } = body ?? {};
      const created = await datasets.create({ accountId, name: name ?? undefined, role: role ?? undefined });
      request.audited = { dataset: created.dataset.id, name: created.dataset.name };
      return datasetToWire(created);
    },
  );

  app.get(
    '',
    route('List datasets, newest first', { querystring: listQuery, response: { 200: wireDatasetList } }),
    async ({ accountId, grant, query }, reply) => {
      const { limit, status, name, role } = query;
      const ids = grant?.datasetIds ?? undefined;
      const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
      const filter = { accountId, ids, name, role, status, after, signal: disconnectSignal(reply) };
      // One more than requested shows whether there is another page.
      const found = await datasets.list({ ...filter, limit: limit && limit + 1 });
      const page = limit === undefined ? found : found.slice(0, limit);
      const last = page.at(-1);
      const next = found.length > page.length && last !== undefined ? cursorOf(last.dataset) : null;
      const wire = page.map((summary) => datasetToWire(summary));
      return { datasets: wire, ...(limit !== undefined && { next_cursor: next }) };
    },
  );

  app.get(
    '/events',
    route('Server-sent events: each dataset after every change, and the id of each deleted dataset', {
      response: { 200: ALL_EVENTS },
    }),
    async ({ accountId }, reply) => streamAllEvents(reply, accountId, context),
  );

  app.get(
    '/:id/status',
    {
      config: { isPolled: true },
      ...route("A dataset's status and files", {
        params: datasetParams,
        querystring: statusQuery,
        response: { 200: wireDatasetWithFiles },
      }),
    },
    async (request, reply) => {
      const { accountId, params, query } = request;
      const key = { accountId, id: params.id };
      if (query.wait !== undefined) {
        await withTimeout(Math.ceil(query.wait * 1000), (timeout) =>
          withAnySignal([stopping, timeout, disconnectSignal(reply)], (signal) =>
            waitForStatusChange(watchDataset(key, { signal })),
          ),
        );
      }
      const scope = scopeOf(request);
      const isKnown = !scope.isShare && statuses.has(key.id);
      const remembered = isKnown ? statuses.get(key.id, await datasets.state(key)) : undefined;
      if (remembered !== undefined) return reply.type(JSON_TYPE).send(remembered as never) as never;
      const view = await datasets.view(key, scope);
      const json = Buffer.from(JSON.stringify(viewToWire(view)));
      // A share does not show the links.
      if (!scope.isShare) statuses.set(key.id, view.state, { value: json, size: json.length + ENTRY_BYTES });
      return reply.type(JSON_TYPE).send(json as never) as never;
    },
  );

  app.get(
    '/:id/manifest',
    route('Every file with its size, SHA-256 and facts, and the digest: of now, of a revision, or of a kept digest', {
      params: datasetParams,
      querystring: manifestQuery,
      response: { 200: wireManifest },
      errors: ['revision_not_found'],
    }),
    async (request, reply) => {
      const { accountId, params, query } = request;
      const key = { accountId, id: params.id };
      const { revision, digest } = query;
      const signal = disconnectSignal(reply);
      if (digest !== undefined) {
        return manifestToWire(await history.manifestWithDigest(key, digest.toLowerCase(), signal));
      }
      if (revision !== undefined) return manifestToWire(await history.manifest(key, revision, signal));
      return manifestToWire(manifestOf(await datasets.view(key, scopeOf(request))));
    },
  );

  app.get(
    '/:id/events',
    route('Server-sent events: the dataset now, and after every change, with the files that changed', {
      params: datasetParams,
      querystring: eventsQuery,
      response: { 200: EVENTS },
    }),
    async ({ accountId, params, query }, reply) => {
      const key = { accountId, id: params.id };
      return streamEvents(reply, key, { context, withLinked: query.linked === 'true' });
    },
  );

  app.delete(
    '/:id',
    route('Delete a dataset permanently', {
      params: datasetParams,
      response: { 200: wireDeletedDataset },
      errors: ['dataset_linked'],
    }),
    async (request) => {
      const { accountId, params } = request;
      await datasets.remove({ accountId, id: params.id }, scopeOf(request));
      return { id: params.id, deleted: true as const };
    },
  );
}

function fieldOf(name: 'files' | 'absent'): string {
  return wireDatasetChange.shape[name].meta()?.description ?? '';
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
