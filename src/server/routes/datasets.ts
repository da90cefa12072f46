import { withAnySignal, withTimeout } from '../../abort-signals.js';
import type { WireLinkStates, WireRecheck } from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import { normalizedFilename, parseGroupName } from '../../dataset/names.js';
import { datasetNotFound, type DatasetService, type DatasetView } from '../../service/datasets.js';
import type { ServiceDependencies } from '../../service/dependencies.js';
import { decideDuplicates, duplicatesIn } from '../../service/duplicates.js';
import type { HistoryService } from '../../service/history.js';
import { StateCache } from '../../storage/catalog/links.js';
import type { Database } from '../../storage/database/database.js';
import { type RecheckProgress, recheckProgress, recheckDataset } from '../../service/verify/rechecks.js';
import { watchDataset } from '../../service/watch.js';
import { scopeOf } from '../auth.js';
import { closedSignal } from '../connections.js';
import type { Handlers } from '../register-routes.js';
import {
  datasetToWire,
  groupToWire,
  linksToWire,
  listedToWire,
  manifestToWire,
  problemToWire,
  timeOf,
  viewToWire,
} from '../wire.js';

const JSON_TYPE = 'application/json; charset=utf-8';

/** For the JSON of all statuses, and what an entry takes besides. */
const MAX_STATUS_BYTES = 32 * 1024 * 1024;
const ENTRY_BYTES = 500;

interface DatasetServices {
  readonly core: ServiceDependencies;
  readonly datasets: DatasetService;
  readonly history: HistoryService;
  readonly database: Database;
  readonly stopping: AbortSignal;
}

export function datasetHandlers({ core, datasets, history, database, stopping }: DatasetServices) {
  const { catalog, now } = core;
  // Clients poll often between changes, and the status of ten thousand files takes a tenth of a second.
  const statuses = new StateCache<Buffer>(MAX_STATUS_BYTES);
  return {
    'dataset.create': async ({ accountId, body, request }) => {
      const { name, role } = body ?? {};
      const created = await datasets.create({ accountId, name: name ?? undefined, role: role ?? undefined });
      request.audited = { dataset: created.dataset.id, name: created.dataset.name };
      return datasetToWire(created);
    },
    'dataset.list': async ({ accountId, query, request, reply }) => {
      const { limit, status, name, role, cursor } = query;
      const ids = request.grant?.datasetIds ?? undefined;
      const after = cursor === undefined ? undefined : parseCursor(cursor);
      const filter = { accountId, ids, name, role, status, after, signal: closedSignal(reply) };
      // One more shows whether there is another page.
      const found = await datasets.list({ ...filter, limit: limit && limit + 1 });
      const page = limit === undefined ? found : found.slice(0, limit);
      const last = page.at(-1);
      const next = found.length > page.length && last !== undefined ? cursorOf(last.dataset) : null;
      const wire = page.map((summary) => listedToWire(summary, ids));
      return { datasets: wire, ...(limit !== undefined && { next_cursor: next }) };
    },
    'dataset.status': async ({ key, query, request, reply }) => {
      if (query.wait !== undefined) {
        await withTimeout(Math.ceil(query.wait * 1000), (timeout) =>
          withAnySignal([stopping, timeout, closedSignal(reply)], (signal) =>
            waitForStatusChange(watchDataset(core, key, { signal })),
          ),
        );
      }
      const scope = scopeOf(request);
      const isKnown = !scope.isShare && statuses.has(key.id);
      const remembered = isKnown ? statuses.get(key.id, await datasets.state(key)) : undefined;
      if (remembered !== undefined) return reply.type(JSON_TYPE).send(remembered);
      const view = await datasets.view(key, scope);
      const json = Buffer.from(JSON.stringify(viewToWire(view)));
      // Shares do not show links.
      if (!scope.isShare) statuses.set(key.id, view.state, { value: json, size: json.length + ENTRY_BYTES });
      return reply.type(JSON_TYPE).send(json);
    },
    'dataset.manifest': async ({ key, query: { revision, digest }, request, reply }) => {
      const wanted = digest === undefined ? { revision } : { digest: digest.toLowerCase() };
      const options = { scope: scopeOf(request), signal: closedSignal(reply) };
      return manifestToWire(await history.manifest(key, wanted, options));
    },
    'dataset.change': async ({ key, body, request }) => {
      const changed = await datasets.change(key, body, scopeOf(request));
      request.audited = { name: changed.dataset.name, role: changed.dataset.role };
      return datasetToWire(changed);
    },
    'dataset.delete': async ({ key, request }) => {
      await datasets.remove(key, scopeOf(request));
      return { id: key.id, deleted: true };
    },
    'links.replace': async ({ key, body, request }) => {
      await datasets.replaceLinks(key, body, scopeOf(request));
      const view = await datasets.view(key);
      request.audited = { links: Object.fromEntries(view.links.map(({ slot, dataset }) => [slot, dataset.id])) };
      return linkStatesOf(view);
    },
    'links.read': async ({ key, request }) => linkStatesOf(await datasets.view(key, scopeOf(request))),
    'group.save': async ({ key, params, body, request }) => {
      const { repeats, is_reg: isReg, add = [], remove = [] } = body;
      const name = parseGroupName(params.group);
      const files = { add: add.map(normalizedFilename), remove: remove.map(normalizedFilename) };
      const group = await catalog.groups.save(key, { name, repeats, isReg, ...files }, now());
      if (group === undefined) throw datasetNotFound(key.id);
      request.audited = { group: name, repeats: group.repeats, added: add.length, removed: remove.length };
      return groupToWire(group);
    },
    'group.delete': async ({ key, params, request }) => {
      const name = normalizedFilename(params.group).trim();
      if (!(await catalog.groups.remove(key, name, now()))) throw datasetNotFound(key.id);
      request.audited = { group: name };
      return { name, deleted: true };
    },
    'duplicates.list': ({ key }) => duplicatesIn(catalog, key),
    'duplicates.decide': async ({ key, body }) => {
      await decideDuplicates(catalog, key, body);
      return body;
    },
    'dataset.recheck': async ({ key }) => recheckToWire(await recheckDataset({ ...core, database }, key)),
    'dataset.recheck-progress': async ({ key }) => recheckToWire(await recheckProgress({ catalog, database }, key)),
  } satisfies Partial<Handlers>;
}

function linkStatesOf({ links, status }: DatasetView): WireLinkStates {
  return { links: linksToWire(links), status };
}

function recheckToWire({ datasetId, recheck, problems }: RecheckProgress): WireRecheck {
  const found = { dataset_id: datasetId, problems: problems.map(problemToWire) };
  if (recheck === undefined) return { ...found, state: 'never', total: 0, checked: 0 };
  const { total, remaining, startedAt, finishedAt } = recheck;
  return {
    ...found,
    state: finishedAt === null ? 'running' : 'finished',
    total,
    checked: Math.max(total - remaining, 0),
    started_at: timeOf(startedAt),
    ...(finishedAt !== null && { finished_at: timeOf(finishedAt) }),
  };
}

/** Returns at READY, FAILED, a change, or the end of the watch. */
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
