import { Resolver } from 'node:dns/promises';
import { MAX_URL_LENGTH, WEBHOOK_EVENTS, type WebhookEvent } from '../../api/webhook-schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import {
  type Delivery,
  eventPayload,
  type Webhook,
  type WebhookKey,
  Webhooks,
} from '../../storage/catalog/webhooks.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { JobHandler } from '../jobs/job-runner.js';
import { AddressNotAllowed, AllowedAddresses } from './allowed-addresses.js';
import {
  type AnnounceDependencies,
  announceJob,
  type AnnounceOptions,
  deliverJob,
  type DeliverOptions,
  messageId,
  newWebhookSecret,
} from './webhook-jobs.js';

const MAX_WEBHOOKS = 10;

/** For one question to one name server. */
const DNS_TIMEOUT_MS = 3000;

export interface WebhookOptions
  extends AnnounceOptions,
    Pick<DeliverOptions, 'userAgent' | 'machineTime' | 'onAttempt' | 'onDisabled'> {
  /** Hosts and networks besides public addresses. */
  readonly allow: readonly string[];
}

interface WebhookChange {
  readonly url?: string | undefined;
  readonly events?: readonly WebhookEvent[] | undefined;
  readonly isEnabled?: boolean | undefined;
}

export class WebhookService {
  /** The jobs that announce and send. */
  readonly handlers: readonly JobHandler[];
  readonly #dependencies: Pick<ServiceDependencies, 'jobs' | 'now' | 'newId'>;
  readonly #webhooks: Webhooks;
  readonly #allowed: AllowedAddresses;

  constructor(dependencies: AnnounceDependencies & Pick<ServiceDependencies, 'jobs'>, options: WebhookOptions) {
    this.#dependencies = dependencies;
    this.#webhooks = new Webhooks(options.database);
    this.#allowed = new AllowedAddresses(options.allow, new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 }));
    const sending = { ...options, webhooks: this.#webhooks, allowed: this.#allowed, now: dependencies.now };
    this.handlers = [announceJob(dependencies, options), deliverJob(sending)];
  }

  list(accountId: string): Promise<Webhook[]> {
    return this.#webhooks.list(accountId);
  }

  /** @throws ServiceError `invalid_field`, `quota_exceeded` */
  async add(request: WebhookChange & { accountId: string; url: string }): Promise<Webhook> {
    const { accountId, events = WEBHOOK_EVENTS } = request;
    const { now, newId } = this.#dependencies;
    const webhook: Webhook = {
      ...{ id: newId(), accountId, url: this.#checkedUrl(request.url), events: inOrder(events) },
      ...{ secret: newWebhookSecret(), createdAt: now(), disabledAt: null },
    };
    if (await this.#webhooks.add(webhook, MAX_WEBHOOKS)) return webhook;
    const message = `The account has ${MAX_WEBHOOKS} webhooks, the most that it may have. Delete one first.`;
    throw new ServiceError('quota_exceeded', message);
  }

  /** @throws ServiceError `webhook_not_found`, `invalid_field` */
  async change(key: WebhookKey, { url, events, isEnabled }: WebhookChange): Promise<Webhook> {
    const at = this.#dependencies.now();
    const change = {
      ...(url !== undefined && { url: this.#checkedUrl(url) }),
      ...(events !== undefined && { events: inOrder(events) }),
      ...(isEnabled !== undefined && { disabledAt: isEnabled ? null : at }),
    };
    return this.#sendingSoon(key, await this.#webhooks.change(key, change, at));
  }

  /** @throws ServiceError `webhook_not_found` */
  async remove(key: WebhookKey): Promise<void> {
    if (!(await this.#webhooks.remove(key))) throw webhookNotFound(key.id);
  }

  /** Newest first. @throws ServiceError `webhook_not_found` */
  async deliveries(key: WebhookKey): Promise<Delivery[]> {
    await this.#find(key);
    return this.#webhooks.deliveries(key.id);
  }

  /** Sends it under the same id. @throws ServiceError `webhook_not_found`, `delivery_not_found` */
  async resend(key: WebhookKey, deliveryId: string): Promise<Delivery> {
    await this.#find(key);
    const receiver = { id: key.id, account_id: key.accountId };
    const delivery = await this.#webhooks.resend(receiver, deliveryId, this.#dependencies.now());
    if (delivery !== undefined) return this.#sendingSoon(key, delivery);
    const message = `The webhook has no delivery ${deliveryId}. Only the latest deliveries of each webhook are kept.`;
    throw new ServiceError('delivery_not_found', message);
  }

  /** Sends an event `webhook.test`. @throws ServiceError `webhook_not_found` */
  async test(key: WebhookKey): Promise<Delivery> {
    await this.#find(key);
    const { now, newId } = this.#dependencies;
    const at = now();
    const payload = eventPayload('webhook.test', at, { webhook_id: key.id });
    const test = { event: 'webhook.test', datasetId: null, at, idFor: () => messageId(newId), payload } as const;
    return this.#sendingSoon(key, await this.#webhooks.addDelivery(key.id, test));
  }

  async #find(key: WebhookKey): Promise<void> {
    if ((await this.#webhooks.find(key)) === undefined) throw webhookNotFound(key.id);
  }

  /** @param changed `undefined` if there is no such webhook */
  #sendingSoon<T>(key: WebhookKey, changed: T | undefined): T {
    if (changed === undefined) throw webhookNotFound(key.id);
    this.#dependencies.jobs.wake();
    return changed;
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
      this.#allowed.checkUrl(url);
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

/** Removes duplicates. */
function inOrder(events: readonly WebhookEvent[]): WebhookEvent[] {
  return WEBHOOK_EVENTS.filter((event) => events.includes(event));
}

function invalidUrl(rule: string, message = `The url ${rule}.`): ServiceError {
  return new ServiceError('invalid_field', message, { detail: [{ path: 'url', message: rule }] });
}

/** Also for a webhook that was deleted, or belongs to another account. */
function webhookNotFound(id: string): ServiceError {
  return new ServiceError('webhook_not_found', `Webhook ${id} does not exist.`);
}
