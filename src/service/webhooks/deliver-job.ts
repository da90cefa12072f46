import { createHmac, randomBytes } from 'node:crypto';
import type { Micros } from '../../dataset/dataset.js';
import type { Attempt, Deliveries, Delivery } from '../../storage/catalog/webhooks/deliveries.js';
import type { Webhook, Webhooks } from '../../storage/catalog/webhooks/webhooks.js';
import type { JobHandler } from '../jobs/job-runner.js';
import type { AllowedAddresses } from './allowed-addresses.js';
import { post, type Posted } from './post.js';

const AT_ONCE = 32;

/** From 5 s to 10 h, in total about 28 hours. */
const PAUSES_SECONDS = [5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000];

/** Varies pauses, so that receivers which failed together are not tried together. */
const JITTER = 0.2;

const GONE = 410;

export interface DeliverOptions {
  readonly webhooks: Webhooks;
  readonly deliveries: Deliveries;
  readonly allowed: AllowedAddresses;
  readonly now: () => Micros;
  readonly userAgent: string;
  /** The time that receivers compare with theirs. */
  readonly machineTime: () => Micros;
  readonly onAttempt: (outcome: 'delivered' | 'retried' | 'failed') => void;
  /** The receiver is gone. */
  readonly onDisabled: (webhook: Webhook) => void;
}

/** Sends the first due delivery of a webhook, whose id is the key, one at a time. A failed attempt is no failure of the job. */
export function deliverJob(options: DeliverOptions): JobHandler {
  const { webhooks, deliveries, now } = options;
  return {
    kind: 'deliver',
    atOnce: AT_ONCE,
    run: async ({ key: id, accountId }, signal) => {
      const webhook = await webhooks.find({ accountId, id });
      if (webhook === undefined || webhook.disabledAt !== null) return 'done';
      const delivery = await deliveries.next(id);
      if (delivery === undefined) return 'done';
      if (delivery.nextAt > now()) return { dueAt: delivery.nextAt };
      await attempt(webhook, delivery, options, signal);
      const next = await deliveries.next(id);
      return next === undefined ? 'done' : { dueAt: next.nextAt };
    },
  };
}

async function attempt(webhook: Webhook, delivery: Delivery, options: DeliverOptions, signal: AbortSignal) {
  const { webhooks, deliveries, allowed, now, userAgent, machineTime, onAttempt, onDisabled } = options;
  // After the machine's clock was set back, `now` is ahead of it for hours, and receivers reject it.
  const timestamp = Math.floor(machineTime() / 1_000_000);
  const headers = {
    'content-type': 'application/json',
    'user-agent': userAgent,
    ...signedHeaders(delivery, { secret: webhook.secret, timestamp }),
  };
  const posted = await post(new URL(webhook.url), { headers, body: delivery.payload, allowed, signal });
  const outcome = outcomeOf(delivery, posted, now());
  await deliveries.record(delivery, outcome);
  if (outcome.answer === GONE && (await webhooks.disable(webhook, now()))) onDisabled(webhook);
  onAttempt(outcome.error === null ? 'delivered' : outcome.nextAt === null ? 'failed' : 'retried');
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
