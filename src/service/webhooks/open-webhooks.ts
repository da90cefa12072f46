import { Resolver } from 'node:dns/promises';
import { Deliveries } from '../../storage/catalog/webhooks/deliveries.js';
import { Webhooks } from '../../storage/catalog/webhooks/webhooks.js';
import type { ServiceDependencies } from '../dependencies.js';
import { AllowedAddresses } from './allowed-addresses.js';
import { announceJob, type AnnounceOptions } from './announce-job.js';
import { deliverJob, type DeliverOptions } from './deliver-job.js';
import { WebhookService } from './webhook-service.js';

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
