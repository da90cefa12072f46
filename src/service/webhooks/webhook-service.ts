import { Resolver } from 'node:dns/promises';
import { MAX_URL_LENGTH, WEBHOOK_EVENTS, type WebhookEvent } from '../../api/webhook-schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import { Deliveries, type Delivery, eventPayload } from '../../storage/catalog/webhooks/deliveries.js';
import { type Webhook, type WebhookKey, Webhooks } from '../../storage/catalog/webhooks/webhooks.js';
import type { ServiceDependencies } from '../dependencies.js';
import { AddressNotAllowed, AllowedAddresses } from './allowed-addresses.js';
import { announceJob, type AnnounceOptions, messageId } from './announce-job.js';
import { deliverJob, type DeliverOptions, newWebhookSecret } from './deliver-job.js';

const MAX_WEBHOOKS = 10;

export interface WebhookServiceOptions {
  readonly webhooks: Webhooks;
  readonly deliveries: Deliveries;
  readonly allowed: AllowedAddresses;
}

type Dependencies = Pick<ServiceDependencies, 'jobs' | 'now' | 'newId'>;

/** Makes and changes the webhooks of an account, and shows and repeats their deliveries. */
export class WebhookService {
  readonly #dependencies: Dependencies;
  readonly #options: WebhookServiceOptions;

  constructor(dependencies: Dependencies, options: WebhookServiceOptions) {
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
    const { webhooks } = this.#options;
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
    const { now, jobs } = this.#dependencies;
    const at = now();
    const change = {
      ...(url !== undefined && { url: this.#checkedUrl(url) }),
      ...(events !== undefined && { events: inOrder(events) }),
      ...(isEnabled !== undefined && { disabledAt: isEnabled ? null : at }),
    };
    const changed = await this.#options.webhooks.change(key, change, at);
    if (changed === undefined) throw webhookNotFound(key.id);
    jobs.wake();
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
    const { now, jobs } = this.#dependencies;
    const receiver = { id: key.id, account_id: key.accountId };
    const delivery = await this.#options.deliveries.resend(receiver, deliveryId, now());
    if (delivery === undefined) {
      const message = `The webhook has no delivery ${deliveryId}. Only the latest deliveries of each webhook are kept.`;
      throw new ServiceError('delivery_not_found', message);
    }
    jobs.wake();
    return delivery;
  }

  /** Sends an event `webhook.test`. @throws ServiceError `webhook_not_found` */
  async test(key: WebhookKey): Promise<Delivery> {
    await this.#find(key);
    const { now, newId, jobs } = this.#dependencies;
    const at = now();
    const payload = eventPayload('webhook.test', at, { webhook_id: key.id });
    const test = { event: 'webhook.test', datasetId: null, at, idFor: () => messageId(newId), payload } as const;
    const delivery = await this.#options.deliveries.add(key.id, test);
    if (delivery === undefined) throw webhookNotFound(key.id);
    jobs.wake();
    return delivery;
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

/** Of one question to one name server; the whole attempt has a limit of its own. */
const DNS_TIMEOUT_MS = 3000;

export interface WebhookOptions
  extends AnnounceOptions,
    Pick<DeliverOptions, 'userAgent' | 'machineTime' | 'onAttempt' | 'onDisabled'> {
  /** Hosts and networks to which webhooks may be sent, besides public addresses. */
  readonly allow: readonly string[];
}

/** Assembles the webhooks of a serving process, and the handlers of their jobs. */
export function openWebhooks(dependencies: ServiceDependencies, options: WebhookOptions) {
  const { now } = dependencies;
  const webhooks = new Webhooks(options.database);
  const deliveries = new Deliveries(options.database);
  const allowed = new AllowedAddresses(options.allow, new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 }));
  return {
    service: new WebhookService(dependencies, { webhooks, deliveries, allowed }),
    handlers: [announceJob(dependencies, options), deliverJob({ ...options, webhooks, deliveries, allowed, now })],
  };
}
