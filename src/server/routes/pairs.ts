import { linksBody, wireLinkStates } from '../../api/pair-schemas.js';
import { datasetChangeBody, datasetParams } from '../../api/request-schemas.js';
import { wireDataset } from '../../api/schemas.js';
import type { DatasetView } from '../../service/dataset-view.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { scopeOf } from '../session/share-access.js';
import { datasetToWire, linksToWire } from '../to-wire.js';

const route = routesTagged('pairs');

/** Routes that change the name and the role of a dataset, and link it to its controls and its mask. */
export function registerPairRoutes(app: App, { datasets, pairs }: RouteContext): void {
  app.patch(
    '/:id',
    route('Change the name and the role of a dataset', {
      params: datasetParams,
      body: datasetChangeBody,
      response: { 200: wireDataset },
      errors: ['invalid_name', 'name_taken', 'dataset_linked'],
    }),
    async (request) => {
      const { accountId, params, body } = request;
      const changed = await datasets.change({ accountId, id: params.id }, body, scopeOf(request));
      request.audited = { name: changed.dataset.name, role: changed.dataset.role };
      return datasetToWire(changed);
    },
  );

  app.put(
    '/:id/links',
    route('Replace the links of a training dataset to its controls and its mask', {
      params: datasetParams,
      body: linksBody,
      response: { 200: wireLinkStates },
      errors: ['wrong_role', 'quota_exceeded'],
    }),
    async (request) => {
      const { accountId, params, body } = request;
      const key = { accountId, id: params.id };
      await pairs.replaceLinks(key, body, scopeOf(request));
      const view = await datasets.view(key);
      request.audited = { links: Object.fromEntries(view.links.map(({ slot, dataset }) => [slot, dataset.id])) };
      return linkStatesOf(view);
    },
  );

  // `GET /:id/links` answers with the read link of the dataset's files.
  app.get(
    '/:id/pairs',
    route('The links of a training dataset to its controls and its mask, and what is wrong with the pairs', {
      params: datasetParams,
      response: { 200: wireLinkStates },
    }),
    async (request) => {
      const { accountId, params } = request;
      return linkStatesOf(await datasets.view({ accountId, id: params.id }, scopeOf(request)));
    },
  );
}

function linkStatesOf({ links, status }: DatasetView) {
  return { links: linksToWire(links), status };
}
