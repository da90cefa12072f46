import type { WebhookEvent, WireDelivery, WireNewWebhook, WireWebhook } from '../../api/webhook-schemas.js';
import { DELIVERIES, DELIVERY, NEW_WEBHOOK, WEBHOOK, WEBHOOKS } from '../answer/answer-shape.js';
import { type CallOptions, path, type Requests } from '../requests.js';

/** The account's webhooks, to which the service sends status changes of datasets. trainyard only. */
export class WebhookCalls {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Lists the webhooks of the account, oldest first.
   * @example for (const { id, url, enabled } of await client.webhooks.list()) console.log(id, url, enabled);
   */
  async list(options: CallOptions = {}): Promise<WireWebhook[]> {
    return (await this.#requests.json('GET', '/webhooks', WEBHOOKS, options)).webhooks;
  }

  /**
   * Makes a webhook. The secret, which verifies the signatures, is only in this answer. Without `events`, it receives all.
   * @example const { secret } = await client.webhooks.add('https://queue.example/hook', { events: ['dataset.ready'] });
   */
  add(
    url: string,
    { events, ...options }: CallOptions & { events?: readonly WebhookEvent[] | undefined } = {},
  ): Promise<WireNewWebhook> {
    const body = { url, ...(events && { events }) };
    // As with a dataset, a second attempt could make another one.
    return this.#requests.json('POST', '/webhooks', NEW_WEBHOOK, { body, isRepeatable: false, ...options });
  }

  /**
   * Changes a webhook, enables or disables it. Events that wait are then sent at once.
   * @example await client.webhooks.change(webhook.id, { enabled: true });
   */
  change(
    id: string,
    change: { url?: string; events?: readonly WebhookEvent[]; enabled?: boolean },
    options: CallOptions = {},
  ): Promise<WireWebhook> {
    return this.#requests.json('PATCH', targetOf(id), WEBHOOK, { body: change, ...options });
  }

  /**
   * Deletes a webhook and its deliveries.
   * @example await client.webhooks.remove(webhook.id);
   */
  remove(id: string, options: CallOptions = {}): Promise<void> {
    return this.#requests.remove(targetOf(id), options);
  }

  /**
   * Sends a test event. `deliveries` tells how it ended.
   * @example const { id } = await client.webhooks.test(webhook.id);
   */
  test(id: string, options: CallOptions = {}): Promise<WireDelivery> {
    return this.#requests.json('POST', `${targetOf(id)}/test`, DELIVERY, options);
  }

  /**
   * Lists the last deliveries of a webhook, newest first.
   * @example const [latest] = await client.webhooks.deliveries(webhook.id);
   */
  async deliveries(id: string, options: CallOptions = {}): Promise<WireDelivery[]> {
    return (await this.#requests.json('GET', `${targetOf(id)}/deliveries`, DELIVERIES, options)).deliveries;
  }

  /**
   * Sends a delivery again, under the same id.
   * @example await client.webhooks.resend(webhook.id, 'msg_0a…');
   */
  resend(id: string, deliveryId: string, options: CallOptions = {}): Promise<WireDelivery> {
    const target = `${targetOf(id)}/deliveries${path(deliveryId)}/resend`;
    return this.#requests.json('POST', target, DELIVERY, options);
  }
}

function targetOf(id: string): string {
  return `/webhooks${path(id)}`;
}
