import { MAX_URL_LENGTH, WEBHOOK_EVENTS, type WebhookEvent } from '../../api/webhook-schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Deliveries, Delivery } from '../../storage/catalog/webhooks/deliveries.js';
import type { Webhook, WebhookKey, Webhooks } from '../../storage/catalog/webhooks/webhooks.js';
import type { ServiceDependencies } from '../dependencies.js';
import { AddressNotAllowed, type AllowedAddresses } from './allowed-addresses.js';
import { messageId } from './announcer.js';
import { testPayload } from './payloads.js';
import { newWebhookSecret } from './sign-delivery.js';

const MAX_WEBHOOKS = 10;

export interface WebhookServiceOptions {
  readonly webhooks: Webhooks;
  readonly deliveries: Deliveries;
  readonly allowed: AllowedAddresses;
  /** A webhook of this account was made. */
  readonly onAdded: (accountId: string) => void;
  /** Deliveries may be due. */
  readonly onDue: () => void;
}

/** Makes and changes the webhooks of an account, and shows and repeats their deliveries. */
export class WebhookService {
  readonly #dependencies: Pick<ServiceDependencies, 'now' | 'newId'>;
  readonly #options: WebhookServiceOptions;

  constructor(dependencies: Pick<ServiceDependencies, 'now' | 'newId'>, options: WebhookServiceOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  list(accountId: string): Promise<Webhook[]> {
    return this.#options.webhooks.list(accountId);
  }

  /** @throws ServiceError `invalid_field`, `quota_exceeded` */
  async add(request: {
    accountId: string;
    url: string;
    events?: readonly WebhookEvent[] | undefined;
  }): Promise<Webhook> {
    const { webhooks, onAdded } = this.#options;
    const { accountId, events = WEBHOOK_EVENTS } = request;
    const { now, newId } = this.#dependencies;
    const webhook: Webhook = {
      ...{ id: newId(), accountId, url: this.#checkedUrl(request.url), events: inOrder(events) },
      ...{ secret: newWebhookSecret(), createdAt: now(), disabledAt: null },
    };
    if (!(await webhooks.add(webhook, MAX_WEBHOOKS))) {
      const message = `The account has ${MAX_WEBHOOKS} webhooks, the most that it may have. Delete one first.`;
      throw new ServiceError('quota_exceeded', message);
    }
    onAdded(accountId);
    return webhook;
  }

  /** @throws ServiceError `webhook_not_found`, `invalid_field` */
  async change(
    key: WebhookKey,
    {
      url,
      events,
      isEnabled,
    }: { url?: string | undefined; events?: readonly WebhookEvent[] | undefined; isEnabled?: boolean | undefined },
  ): Promise<Webhook> {
    const { webhooks, onDue } = this.#options;
    const at = this.#dependencies.now();
    const change = {
      ...(url !== undefined && { url: this.#checkedUrl(url) }),
      ...(events !== undefined && { events: inOrder(events) }),
      ...(isEnabled !== undefined && { disabledAt: isEnabled ? null : at }),
    };
    const changed = await webhooks.change(key, change, at);
    if (changed === undefined) throw webhookNotFound(key.id);
    onDue();
    return changed;
  }

  /** @throws ServiceError `webhook_not_found` */
  async remove(key: WebhookKey): Promise<void> {
    if (!(await this.#options.webhooks.remove(key))) throw webhookNotFound(key.id);
  }

  /** The last deliveries, newest first. @throws ServiceError `webhook_not_found` */
  async deliveries(key: WebhookKey): Promise<Delivery[]> {
    await this.#find(key);
    return this.#options.deliveries.list(key.id);
  }

  /** Sends a delivery again, under the same id. @throws ServiceError `webhook_not_found`, `delivery_not_found` */
  async resend(key: WebhookKey, deliveryId: string): Promise<Delivery> {
    await this.#find(key);
    const { deliveries, onDue } = this.#options;
    const delivery = await deliveries.resend({ webhookId: key.id, id: deliveryId }, this.#dependencies.now());
    if (delivery === undefined) {
      const message = `The webhook has no delivery ${deliveryId}. Only the latest deliveries of each webhook are kept.`;
      throw new ServiceError('delivery_not_found', message);
    }
    onDue();
    return delivery;
  }

  /** Sends an event `webhook.test`. @throws ServiceError `webhook_not_found` */
  async test(key: WebhookKey): Promise<Delivery> {
    await this.#find(key);
    const { deliveries, onDue } = this.#options;
    const createdAt = this.#dependencies.now();
    const delivery = {
      ...{
        id: messageId(this.#dependencies.newId)(),
        webhookId: key.id,
        datasetId: null,
        event: 'webhook.test' as const,
      },
      ...{ payload: testPayload(key.id, createdAt), createdAt },
    };
    if (!(await deliveries.add({ ...delivery, dueAt: createdAt }))) throw webhookNotFound(key.id);
    onDue();
    const outcome = { attempts: 0, attemptedAt: null, deliveredAt: null, answer: null, error: null };
    return { ...delivery, nextAt: createdAt, ...outcome };
  }

  async #find(key: WebhookKey): Promise<void> {
    if ((await this.#options.webhooks.find(key)) === undefined) throw webhookNotFound(key.id);
  }

  #checkedUrl(text: string): string {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw invalidUrl('must be a URL such as https://queue.example/trainyard');
    }
    if (url.username !== '' || url.password !== '') {
      throw invalidUrl('must have no user and password; the signature says who sends the request');
    }
    try {
      this.#options.allowed.checkUrl(url);
    } catch (error) {
      if (!(error instanceof AddressNotAllowed)) throw error;
      throw invalidUrl('must lead where this server may send webhooks', error.message);
    }
    url.hash = '';
    if (url.href.length > MAX_URL_LENGTH) {
      throw invalidUrl(`must have at most ${MAX_URL_LENGTH} characters when it is percent-encoded`);
    }
    return url.href;
  }
}

/** Each once. */
function inOrder(events: readonly WebhookEvent[]): WebhookEvent[] {
  return WEBHOOK_EVENTS.filter((event) => events.includes(event));
}

function invalidUrl(rule: string, message = `The url ${rule}.`): ServiceError {
  return new ServiceError('invalid_field', message, { detail: [{ path: 'url', message: rule }] });
}

/** The same message for a webhook that never existed, was deleted, or belongs to another account. */
function webhookNotFound(id: string): ServiceError {
  return new ServiceError('webhook_not_found', `Webhook ${id} does not exist.`);
}
