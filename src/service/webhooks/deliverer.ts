import type { Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type {
  Attempt,
  Deliveries,
  Delivery,
  WaitingAccount,
  WaitingWebhook,
} from '../../storage/catalog/webhooks/deliveries.js';
import type { Webhook, Webhooks } from '../../storage/catalog/webhooks/webhooks.js';
import type { ServiceDependencies } from '../dependencies.js';
import { runOnWake, type WakeableLoop } from '../run-on-wake.js';
import { LeaseLost, whileRenewing } from '../while-renewing.js';
import type { AllowedAddresses } from './allowed-addresses.js';
import { post, type Posted } from './post.js';
import { signedHeaders } from './sign-delivery.js';

/** Requests that a process has in flight at once, and those of one account, so that slow receivers leave turns to others. */
const MAX_IN_FLIGHT = 32;
const MAX_IN_FLIGHT_PER_ACCOUNT = 2;

/** The longest pause until the deliveries of an instance that died are taken over. */
const MAX_POLL_MS = 15_000;

/** Until the database answers again. */
const RETRY_MS = 2000;

/** The pauses after failed attempts, in seconds: 5 s to 10 h, in total about 28 hours. After the last one none follows. */
const PAUSES_SECONDS = [5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000];

/** A pause is longer or shorter by up to this part, so that receivers which failed together are not tried together. */
const JITTER = 0.2;

export type DeliveryOutcome = 'delivered' | 'retried' | 'failed';

export interface DelivererOptions {
  readonly webhooks: Webhooks;
  readonly deliveries: Deliveries;
  readonly allowed: AllowedAddresses;
  /** True if this process alone uses the catalog: then every other lease in it is from an earlier process. */
  readonly isAlone: boolean;
  readonly userAgent: string;
  /** The time that receivers compare with theirs. */
  readonly machineTime: () => Micros;
  readonly onAttempt: (outcome: DeliveryOutcome) => void;
  /** A receiver has answered that it is gone. */
  readonly onDisabled: (webhook: Webhook) => void;
  readonly onError: (error: unknown, failure: string) => void;
}

/**
 * Sends waiting deliveries. A lease on each webhook decides which process sends its next one, so that the deliveries of a
 * webhook are sent one at a time. One that fails waits for longer each time; those of other datasets continue meanwhile.
 */
export class Deliverer {
  readonly #dependencies: ServiceDependencies;
  readonly #options: DelivererOptions;
  readonly #stopping = new AbortController();
  /** By the id of the webhook. */
  readonly #inFlight = new Map<string, { accountId: string; done: Promise<void> }>();
  /** The accounts that wait, with the number of the request that was last started for each. */
  #lastStarted = new Map<string, number>();
  #started = 0;
  #loop: WakeableLoop | undefined;

  constructor(dependencies: ServiceDependencies, options: DelivererOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  start(): void {
    const onError = (error: unknown) => this.#options.onError(error, 'looking for deliveries of webhooks failed');
    const pauseMs = Math.min(MAX_POLL_MS, this.#dependencies.rules.leaseDuration / 1000 / 2);
    this.#loop = runOnWake(() => this.#startDue(), { pauseMs, onError });
  }

  /** Looks for deliveries soon, and returns at once. */
  wake(): void {
    this.#loop?.wake();
  }

  /** Ends requests in flight. They are sent again, by another instance or after the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ServiceError('shutting_down', 'The server is shutting down.'));
    await this.#loop?.stop();
    await Promise.all([...this.#inFlight.values()].map(({ done }) => done));
  }

  /** @returns milliseconds until the next delivery is due */
  async #startDue(): Promise<number> {
    const { deliveries, isAlone } = this.#options;
    const waiting = await deliveries.waitingAccounts();
    const now = this.#dependencies.now();
    const expiredBy = isAlone ? Number.MAX_SAFE_INTEGER : now;
    const turnOf = ({ accountId }: WaitingAccount) => this.#lastStarted.get(accountId) ?? 0;
    this.#lastStarted = new Map(waiting.map((account) => [account.accountId, turnOf(account)]));
    // The accounts take turns: the slow receivers of some would otherwise delay those of all others by their whole backlog.
    const due = waiting.filter(({ nextAt }) => nextAt <= now).sort((a, b) => turnOf(a) - turnOf(b));
    let next = waiting[due.length]?.nextAt ?? Number.POSITIVE_INFINITY;
    for (let i = 0; i < due.length && this.#hasPlace(); i += MAX_IN_FLIGHT) {
      const accounts = due.slice(i, i + MAX_IN_FLIGHT).map(({ accountId }) => accountId);
      const webhooks = await deliveries.waitingOf(accounts);
      for (const webhook of webhooks.sort((a, b) => turnOf(a) - turnOf(b))) {
        if (webhook.nextAt > now) next = Math.min(next, webhook.nextAt);
        else if (this.#mayStart(webhook, expiredBy)) this.#start(webhook, expiredBy);
      }
    }
    return (next - now) / 1000;
  }

  #hasPlace(): boolean {
    return this.#inFlight.size < MAX_IN_FLIGHT && !this.#stopping.signal.aborted;
  }

  #mayStart({ id, accountId, leaseUntil }: WaitingWebhook, expiredBy: Micros): boolean {
    if (!this.#hasPlace() || this.#inFlight.has(id) || (leaseUntil !== null && leaseUntil > expiredBy)) return false;
    const ofAccount = [...this.#inFlight.values()].filter((other) => other.accountId === accountId);
    return ofAccount.length < MAX_IN_FLIGHT_PER_ACCOUNT;
  }

  #start({ id, accountId }: WaitingWebhook, expiredBy: Micros): void {
    const done = this.#deliverNext(id, expiredBy)
      .then(() => true)
      .catch((error) => {
        if (this.#stopping.signal.aborted || error instanceof LeaseLost) return false;
        this.#options.onError(error, `a delivery of webhook ${id} was not recorded; it will be sent again`);
        return false;
      })
      .then((isDone) => {
        this.#inFlight.delete(id);
        if (isDone) this.wake();
        else if (!this.#stopping.signal.aborted) setTimeout(() => this.wake(), RETRY_MS).unref();
      });
    this.#inFlight.set(id, { accountId, done });
    this.#lastStarted.set(accountId, ++this.#started);
  }

  async #deliverNext(webhookId: string, expiredBy: Micros): Promise<void> {
    const { now, newId, rules } = this.#dependencies;
    const { deliveries } = this.#options;
    const holder = { webhookId, token: newId() };
    const leaseUntil = () => now() + rules.leaseDuration;
    const webhook = await deliveries.acquire(holder, { expiredBy, until: leaseUntil() });
    if (webhook === undefined) return;
    const renew = () => deliveries.renew(holder, leaseUntil());
    try {
      await whileRenewing({ leaseDuration: rules.leaseDuration, renew, signal: this.#stopping.signal }, (signal) =>
        this.#attempt({ webhook, token: holder.token }, signal),
      );
    } finally {
      await deliveries.renew(holder, null).catch(() => {});
    }
  }

  /** @throws LeaseLost if another process has the lease when the attempt ends, which may have sent the delivery too */
  async #attempt({ webhook, token }: { webhook: Webhook; token: string }, signal: AbortSignal): Promise<void> {
    const { now } = this.#dependencies;
    const { webhooks, deliveries, allowed, userAgent, machineTime, onAttempt, onDisabled } = this.#options;
    const delivery = await deliveries.due(webhook.id, now());
    if (delivery === undefined) return;
    // `now` is ahead of it for hours after the machine's clock was set back, and receivers reject it.
    const timestamp = Math.floor(machineTime() / 1_000_000);
    const headers = {
      'content-type': 'application/json',
      'user-agent': userAgent,
      ...signedHeaders(delivery, { secret: webhook.secret, timestamp }),
    };
    const posted = await post(new URL(webhook.url), { headers, body: delivery.payload, allowed, signal });
    const attempt = attemptOf(delivery, posted, now());
    if (!(await deliveries.record({ delivery, token }, attempt))) throw new LeaseLost();
    if (attempt.answer === GONE && (await webhooks.disable(webhook, now()))) onDisabled(webhook);
    onAttempt(attempt.error === null ? 'delivered' : attempt.nextAt === null ? 'failed' : 'retried');
  }
}

const GONE = 410;

function attemptOf({ attempts }: Delivery, posted: Posted, at: Micros): Attempt {
  const answer = 'status' in posted ? posted.status : null;
  const error = 'status' in posted ? errorOf(posted.status) : posted.failure;
  const pause = error === null || answer === GONE ? undefined : PAUSES_SECONDS[attempts];
  const jittered = pause && pause * (1 - JITTER + 2 * JITTER * Math.random());
  return { at, answer, error, nextAt: jittered === undefined ? null : Math.round(at + jittered * 1_000_000) };
}

/** `undefined` for a success. */
function errorOf(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  if (status === GONE) return 'The receiver answered 410, Gone. The webhook was disabled.';
  if (status >= 300 && status < 400)
    return `The receiver answered ${status}. Redirects are not followed: change the URL.`;
  return `The receiver answered ${status}.`;
}
