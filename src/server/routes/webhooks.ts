import type { FastifyRequest } from 'fastify';
import {
  deliveryParams,
  type WireDelivery,
  type WireWebhook,
  webhookBody,
  webhookChangeBody,
  webhookParams,
  wireDeletedWebhook,
  wireDeliveries,
  wireDelivery,
  wireNewWebhook,
  wireWebhook,
  wireWebhooks,
} from '../../api/webhook-schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Micros } from '../../dataset/dataset.js';
import type { Delivery } from '../../storage/catalog/webhooks/deliveries.js';
import type { Webhook } from '../../storage/catalog/webhooks/webhooks.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { timeOf } from '../to-wire.js';

const route = routesTagged('webhooks');

/** Routes of the account's webhooks, and of what was sent to them. */
export function registerWebhookRoutes(app: App, { webhooks }: RouteContext): void {
  const keyOf = (request: FastifyRequest & { params: { webhook_id: string } }) => ({
    accountId: accountOf(request),
    id: request.params.webhook_id,
  });

  app.get(
    '/webhooks',
    route('List the webhooks of the account; for a token that only reads, their URLs end after the host', {
      response: { 200: wireWebhooks },
      errors: ['not_allowed'],
    }),
    async (request) => {
      const listed = await webhooks.list(accountOf(request));
      const isReadOnly = request.grant?.isReadOnly !== false;
      return { webhooks: listed.map((webhook) => webhookToWire(isReadOnly ? withoutPath(webhook) : webhook)) };
    },
  );

  app.post(
    '/webhooks',
    route('Make a webhook: the events of datasets are sent to its URL, signed as Standard Webhooks does', {
      body: webhookBody,
      response: { 200: wireNewWebhook },
      errors: ['quota_exceeded'],
    }),
    async (request) => {
      const added = await webhooks.add({ ...request.body, accountId: accountOf(request) });
      request.audited = { webhook: added.id, host: hostOf(added) };
      return { ...webhookToWire(added), secret: added.secret };
    },
  );

  app.patch(
    '/webhooks/:webhook_id',
    route('Change the URL or the events of a webhook, enable or disable it', {
      params: webhookParams,
      body: webhookChangeBody,
      response: { 200: wireWebhook },
      errors: ['webhook_not_found'],
    }),
    async (request) => {
      const { url, events, enabled } = request.body;
      const changed = await webhooks.change(keyOf(request), { url, events, isEnabled: enabled });
      request.audited = { host: hostOf(changed), enabled: changed.disabledAt === null };
      return webhookToWire(changed);
    },
  );

  app.delete(
    '/webhooks/:webhook_id',
    route('Delete a webhook and its deliveries', {
      params: webhookParams,
      response: { 200: wireDeletedWebhook },
      errors: ['webhook_not_found'],
    }),
    async (request) => {
      await webhooks.remove(keyOf(request));
      return { id: request.params.webhook_id, deleted: true as const };
    },
  );

  app.post(
    '/webhooks/:webhook_id/test',
    route('Send a test event; the deliveries tell how it ended', {
      params: webhookParams,
      response: { 200: wireDelivery },
      errors: ['webhook_not_found'],
    }),
    async (request) => deliveryToWire(await webhooks.test(keyOf(request))),
  );

  app.get(
    '/webhooks/:webhook_id/deliveries',
    route('The last deliveries of a webhook, newest first', {
      params: webhookParams,
      response: { 200: wireDeliveries },
      errors: ['not_allowed', 'webhook_not_found'],
    }),
    async (request) => ({ deliveries: (await webhooks.deliveries(keyOf(request))).map(deliveryToWire) }),
  );

  app.post(
    '/webhooks/:webhook_id/deliveries/:delivery_id/resend',
    route('Send a delivery again, under the same id', {
      params: deliveryParams,
      response: { 200: wireDelivery },
      errors: ['webhook_not_found', 'delivery_not_found'],
    }),
    async (request) => deliveryToWire(await webhooks.resend(keyOf(request), request.params.delivery_id)),
  );
}

/**
 * The account of a token that knows all of its datasets.
 *
 * @throws ServiceError `not_allowed`: webhooks and their deliveries tell of every dataset
 */
function accountOf({ accountId, grant }: FastifyRequest): string {
  if (grant?.datasetIds === null) return accountId;
  const message =
    'This token is bound to datasets, and webhooks report on all datasets. Use a token without --dataset.';
  throw new ServiceError('not_allowed', message);
}

/** For the audit log: the rest of a URL may have a secret. */
function hostOf({ url }: Webhook): string {
  return new URL(url).host;
}

/** For a token that only reads, as a training machine has: who knows the path of a URL may send to many a receiver. */
function withoutPath(webhook: Webhook): Webhook {
  const { origin, pathname, search } = new URL(webhook.url);
  return pathname === '/' && search === '' ? webhook : { ...webhook, url: `${origin}/…` };
}

function webhookToWire({ id, url, events, disabledAt, createdAt }: Webhook): WireWebhook {
  return { id, url, events: [...events], enabled: disabledAt === null, created_at: timeOf(createdAt) };
}

function deliveryToWire(delivery: Delivery): WireDelivery {
  const { id, event, datasetId, createdAt, attempts, attemptedAt, nextAt, deliveredAt, answer, error } = delivery;
  return {
    ...{ id, event, dataset_id: datasetId },
    state: deliveredAt !== null ? 'delivered' : nextAt !== null ? 'waiting' : 'failed',
    created_at: timeOf(createdAt),
    attempts,
    attempted_at: timeOrNull(attemptedAt),
    next_attempt_at: timeOrNull(nextAt),
    answer,
    error,
  };
}

function timeOrNull(micros: Micros | null): string | null {
  return micros === null ? null : timeOf(micros);
}
