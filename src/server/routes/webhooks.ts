import type { FastifyRequest } from 'fastify';
import type { WireDelivery, WireWebhook } from '../../api/webhook-schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { WebhookService } from '../../service/webhooks/webhook-service.js';
import type { Delivery, Webhook } from '../../storage/catalog/webhooks.js';
import type { Handlers } from '../register-routes.js';
import { timeOf, timeOrNull } from '../wire.js';

export function webhookHandlers(webhooks: WebhookService) {
  const keyOf = (request: FastifyRequest, id: string) => ({ accountId: accountOf(request), id });
  return {
    'webhook.list': async ({ request }) => {
      const listed = await webhooks.list(accountOf(request));
      const isReadOnly = request.grant?.isReadOnly !== false;
      return { webhooks: listed.map((webhook) => webhookToWire(isReadOnly ? withoutPath(webhook) : webhook)) };
    },
    'webhook.create': async ({ body, request }) => {
      const added = await webhooks.add({ ...body, accountId: accountOf(request) });
      request.audited = { webhook: added.id, host: hostOf(added) };
      return { ...webhookToWire(added), secret: added.secret };
    },
    'webhook.change': async ({ params, body: { url, events, enabled }, request }) => {
      const changed = await webhooks.change(keyOf(request, params.webhook_id), { url, events, isEnabled: enabled });
      request.audited = { host: hostOf(changed), enabled: changed.disabled_at === null };
      return webhookToWire(changed);
    },
    'webhook.delete': async ({ params: { webhook_id: id }, request }) => {
      await webhooks.remove(keyOf(request, id));
      return { id, deleted: true };
    },
    'webhook.test': async ({ params, request }) =>
      deliveryToWire(await webhooks.test(keyOf(request, params.webhook_id))),
    'webhook.deliveries': async ({ params, request }) => {
      const deliveries = await webhooks.deliveries(keyOf(request, params.webhook_id));
      return { deliveries: deliveries.map(deliveryToWire) };
    },
    'webhook.resend': async ({ params, request }) =>
      deliveryToWire(await webhooks.resend(keyOf(request, params.webhook_id), params.delivery_id)),
  } satisfies Partial<Handlers>;
}

/** Webhooks tell of every dataset of the account. @throws ServiceError `not_allowed` for a bound token */
function accountOf({ accountId, grant }: FastifyRequest): string {
  if (grant?.datasetIds === null) return accountId;
  const message =
    'This token is bound to datasets, and webhooks report on all datasets. Use a token without --dataset.';
  throw new ServiceError('not_allowed', message);
}

/** The rest of a URL may have a secret, which must not be logged. */
function hostOf({ url }: Webhook): string {
  return new URL(url).host;
}

/** Training machines have tokens that only read, and for many receivers the path of the URL is the secret. */
function withoutPath(webhook: Webhook): Webhook {
  const { origin, pathname, search } = new URL(webhook.url);
  return pathname === '/' && search === '' ? webhook : { ...webhook, url: `${origin}/…` };
}

function webhookToWire({ id, url, events, disabled_at, created_at }: Webhook): WireWebhook {
  return { id, url, events: JSON.parse(events), enabled: disabled_at === null, created_at: timeOf(created_at) };
}

function deliveryToWire(delivery: Delivery): WireDelivery {
  const { id, event, dataset_id, created_at, attempts, attempted_at, next_at, delivered_at, answer, error } = delivery;
  return {
    ...{ id, event: event as WireDelivery['event'], dataset_id, attempts, answer, error },
    state: delivered_at !== null ? 'delivered' : next_at !== null ? 'waiting' : 'failed',
    created_at: timeOf(created_at),
    attempted_at: timeOrNull(attempted_at),
    next_attempt_at: timeOrNull(next_at),
  };
}
