import { createHmac, randomBytes } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { MAX_URL_LENGTH, WEBHOOK_EVENTS, type WebhookEvent } from '../../api/webhook-schemas.js';
import type { Micros } from '../../dataset/dataset.js';
import { ServiceError, undefinedOn } from '../../dataset/errors.js';
import { datasetStatusOf, lastActivityOf, nextStatusChangeOf } from '../../dataset/pairs/links.js';
import {
  announce,
  announcedOf,
  type Attempt,
  type Delivery,
  eventPayload,
  type Webhook,
  type WebhookKey,
  Webhooks,
} from '../../storage/catalog/webhooks.js';
import type { Database } from '../../storage/database/database.js';
import type { DatasetKey, DatasetService, DatasetView } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { JobEnd, JobHandler } from '../jobs/job-runner.js';
import { AddressNotAllowed, AllowedAddresses } from './allowed-addresses.js';
import { post, type Posted } from './post.js';

const MAX_WEBHOOKS = 10;

/** For one question to one name server. */
const DNS_TIMEOUT_MS = 3000;

/** Datasets that are read at once. */
const READS_AT_ONCE = 4;

/** Standard Webhooks recommends payloads under 20 kB. */
const MAX_PAYLOAD_BYTES = 20_000;

const MAX_PROBLEMS = 10;

const DELIVERIES_AT_ONCE = 32;

/** From 5 s to 10 h, in total about 28 hours. */
const PAUSES_SECONDS = [5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000];

/** Varies pauses, so that receivers which failed together are not tried together. */
const JITTER = 0.2;

const GONE = 410;

interface WebhookOptions {
  readonly database: Database;
  readonly datasets: Pick<DatasetService, 'view'>;
  /** Hosts and networks besides public addresses. */
  readonly allow: readonly string[];
  /** The dataset as the API has it, with at most so many problems. */
  readonly toWire: (view: DatasetView, problems: number) => object;
  readonly userAgent: string;
  /** The time that receivers compare with theirs. */
  readonly machineTime: () => Micros;
  readonly onAttempt: (outcome: 'delivered' | 'retried' | 'failed') => void;
  /** The receiver is gone. */
  readonly onDisabled: (webhook: Webhook) => void;
}

interface WebhookChange {
  readonly url?: string | undefined;
  readonly events?: readonly WebhookEvent[] | undefined;
  readonly isEnabled?: boolean | undefined;
}

type WebhookDependencies = Pick<ServiceDependencies, 'catalog' | 'jobs' | 'now' | 'newId' | 'rules'>;

export class WebhookService {
  readonly #dependencies: WebhookDependencies;
  readonly #options: WebhookOptions;
  readonly #webhooks: Webhooks;
  readonly #allowed: AllowedAddresses;

  constructor(dependencies: WebhookDependencies, options: WebhookOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#webhooks = new Webhooks(options.database);
    this.#allowed = new AllowedAddresses(options.allow, new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 }));
  }

  /** The jobs that announce and send; the key is the id of a dataset, and that of a webhook. */
  get handlers(): readonly JobHandler[] {
    return [
      { kind: 'announce', atOnce: READS_AT_ONCE, run: ({ accountId, key: id }) => this.#announce({ accountId, id }) },
      {
        kind: 'deliver',
        atOnce: DELIVERIES_AT_ONCE,
        run: ({ accountId, key: id }, signal) => this.#deliver({ accountId, id }, signal),
      },
    ];
  }

  list(accountId: string): Promise<Webhook[]> {
    return this.#webhooks.list(accountId);
  }

  /** @throws ServiceError `invalid_field`, `quota_exceeded` */
  async add(request: WebhookChange & { accountId: string; url: string }): Promise<Webhook> {
    const { accountId, events = WEBHOOK_EVENTS } = request;
    const { now, newId } = this.#dependencies;
    const webhook: Webhook = {
      ...{ id: newId(), account_id: accountId, url: this.#checkedUrl(request.url), events: inOrder(events) },
      ...{ secret: newWebhookSecret(), created_at: now(), disabled_at: null },
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
      ...(isEnabled !== undefined && { disabled_at: isEnabled ? null : at }),
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
    const at = this.#dependencies.now();
    const payload = eventPayload('webhook.test', at, { webhook_id: key.id });
    const test = { event: 'webhook.test', datasetId: null, at, payload } as const;
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

  /** Records an event if a dataset has become READY or FAILED, or READY with other files, and was quiet for the caption grace. */
  async #announce(key: DatasetKey): Promise<JobEnd> {
    const { catalog, now, rules } = this.#dependencies;
    const { database, datasets, toWire } = this.#options;
    const dataset = await catalog.dataset(key);
    if (dataset === undefined) return 'done';
    const at = now();
    const status = datasetStatusOf(dataset, at, rules);
    const next = nextStatusChangeOf(dataset, at, rules);
    const end = next === undefined ? 'done' : { dueAt: next };
    if (status !== 'READY' && status !== 'FAILED') return end;
    const quietAt = lastActivityOf(dataset) + rules.captionGrace;
    if (at < quietAt) return { dueAt: quietAt };
    const before = await announcedOf(database, key.id);
    if (before === status) return end;
    const view = await datasets.view(key).catch(undefinedOn('dataset_not_found'));
    // It was deleted meanwhile.
    if (view === undefined) return 'done';
    if (view.status !== status || view.dataset.version !== dataset.version) return { dueAt: now() };
    const after = status === 'READY' ? `READY ${view.digest}` : status;
    if (after === before) return end;
    const event = {
      ...({ event: status === 'READY' ? 'dataset.ready' : 'dataset.failed', datasetId: key.id, at } as const),
      payload: readyOrFailedPayload(view, { at, toWire }),
    };
    await announce(database, key, { before, after, event });
    return end;
  }

  /** Sends the first due delivery of a webhook, one at a time. A failed attempt is no failure of the job. */
  async #deliver(key: WebhookKey, signal: AbortSignal): Promise<JobEnd> {
    const webhook = await this.#webhooks.find(key);
    if (webhook === undefined || webhook.disabled_at !== null) return 'done';
    const delivery = await this.#webhooks.nextDelivery(key.id);
    if (delivery === undefined) return 'done';
    if (delivery.next_at > this.#dependencies.now()) return { dueAt: delivery.next_at };
    await this.#attempt(webhook, delivery, signal);
    const next = await this.#webhooks.nextDelivery(key.id);
    return next === undefined ? 'done' : { dueAt: next.next_at };
  }

  async #attempt(webhook: Webhook, delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { userAgent, machineTime, onAttempt, onDisabled } = this.#options;
    const { now } = this.#dependencies;
    // After the machine's clock was set back, `now` is ahead of it for hours, and receivers reject it.
    const timestamp = Math.floor(machineTime() / 1_000_000);
    const headers = {
      'content-type': 'application/json',
      'user-agent': userAgent,
      ...signedHeaders(delivery, { secret: webhook.secret, timestamp }),
    };
    const options = { headers, body: delivery.payload, allowed: this.#allowed, signal };
    const outcome = outcomeOf(delivery, await post(new URL(webhook.url), options), now());
    await this.#webhooks.recordAttempt(delivery, outcome);
    if (outcome.answer === GONE && (await this.#webhooks.disable(webhook, now()))) onDisabled(webhook);
    onAttempt(outcome.error === null ? 'delivered' : outcome.nextAt === null ? 'failed' : 'retried');
  }
}

/** As JSON, without duplicates. */
function inOrder(events: readonly WebhookEvent[]): string {
  return JSON.stringify(WEBHOOK_EVENTS.filter((event) => events.includes(event)));
}

function invalidUrl(rule: string, message = `The url ${rule}.`): ServiceError {
  return new ServiceError('invalid_field', message, { detail: [{ path: 'url', message: rule }] });
}

/** Also for a webhook that was deleted, or belongs to another account. */
function webhookNotFound(id: string): ServiceError {
  return new ServiceError('webhook_not_found', `Webhook ${id} does not exist.`);
}

/** The dataset as the API has it, with its revision and digest. */
function readyOrFailedPayload(
  view: DatasetView,
  { at, toWire }: { at: Micros; toWire: (view: DatasetView, problems: number) => object },
): string {
  const type = view.status === 'READY' ? 'dataset.ready' : 'dataset.failed';
  const { revision } = view.dataset;
  const digest = view.digest === undefined ? {} : { digest: view.digest };
  const withProblems = (problems: number) => eventPayload(type, at, { ...toWire(view, problems), revision, ...digest });
  // Filenames and messages have no common limit.
  for (let problems = MAX_PROBLEMS; problems > 0; problems--) {
    const payload = withProblems(problems);
    if (Buffer.byteLength(payload) <= MAX_PAYLOAD_BYTES) return payload;
  }
  return withProblems(0);
}

function outcomeOf({ attempts }: Delivery, posted: Posted, at: Micros): Attempt {
  const answer = 'status' in posted ? posted.status : null;
  const error = 'status' in posted ? errorOf(posted.status) : posted.failure;
  const pause = error === null || answer === GONE ? undefined : PAUSES_SECONDS[attempts];
  const jittered = pause && pause * (1 - JITTER + 2 * JITTER * Math.random());
  return { at, answer, error, nextAt: jittered === undefined ? null : Math.round(at + jittered * 1_000_000) };
}

/** `null` for a success. */
function errorOf(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  if (status === GONE) return 'The receiver answered 410, Gone. The webhook was disabled.';
  if (status >= 300 && status < 400)
    return `The receiver answered ${status}. Redirects are not followed: change the URL.`;
  return `The receiver answered ${status}.`;
}

/* The signature scheme: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */

const PREFIX = 'whsec_';

/** The specification says 24 to 64. */
const KEY_BYTES = 32;

export function newWebhookSecret(): string {
  return `${PREFIX}${randomBytes(KEY_BYTES).toString('base64')}`;
}

/** @param timestamp in seconds since 1970 */
export function signedHeaders(
  { id, payload }: { readonly id: string; readonly payload: string },
  { secret, timestamp }: { secret: string; timestamp: number },
): Record<string, string> {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${payload}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}` };
}
