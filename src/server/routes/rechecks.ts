import { wireRecheck, type WireRecheck } from '../../api/recheck-schema.js';
import { datasetParams } from '../../api/request-schemas.js';
import type { RecheckProgress } from '../../service/verify/recheck-service.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { problemToWire, timeOf } from '../to-wire.js';

const route = routesTagged('datasets');

/** Routes that inspect the stored files of a dataset again. */
export function registerRecheckRoutes(app: App, { rechecks }: RouteContext): void {
  app.post(
    '/:id/recheck',
    route('Inspect all stored files again in the background, unless that is running already', {
      params: datasetParams,
      response: { 200: wireRecheck },
    }),
    async ({ accountId, params }) => recheckToWire(await rechecks.start({ accountId, id: params.id })),
  );

  app.get(
    '/:id/recheck',
    route('The progress of the last recheck, and what is wrong with stored files', {
      params: datasetParams,
      response: { 200: wireRecheck },
    }),
    async ({ accountId, params }) => recheckToWire(await rechecks.progress({ accountId, id: params.id })),
  );
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
