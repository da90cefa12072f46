import { Resolver } from 'node:dns/promises';
import { Announcements } from '../../storage/catalog/webhooks/announcements.js';
import { Deliveries } from '../../storage/catalog/webhooks/deliveries.js';
import { Webhooks } from '../../storage/catalog/webhooks/webhooks.js';
import type { Database } from '../../storage/database/database.js';
import type { ServiceDependencies } from '../dependencies.js';
import { AllowedAddresses } from './allowed-addresses.js';
import { Announcer, type AnnouncerOptions } from './announcer.js';
import { Deliverer, type DelivererOptions } from './deliverer.js';
import { WebhookService } from './webhook-service.js';

/** Of one question to one name server; the whole attempt has a limit of its own. */
const DNS_TIMEOUT_MS = 3000;

export interface WebhookOptions
  extends Pick<AnnouncerOptions, 'datasets' | 'toWire' | 'onError'>,
    Pick<DelivererOptions, 'isAlone' | 'userAgent' | 'machineTime' | 'onAttempt' | 'onDisabled'> {
  readonly database: Database;
  /** Hosts and networks to which webhooks may be sent, besides public addresses. */
  readonly allow: readonly string[];
}

/** Assembles the webhooks of a serving process. `start` begins to record and to send events. */
export function openWebhooks(dependencies: ServiceDependencies, { database, allow, ...options }: WebhookOptions) {
  const webhooks = new Webhooks(database);
  const deliveries = new Deliveries(database);
  const announcements = new Announcements(database);
  const allowed = new AllowedAddresses(allow, new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 }));
  const deliverer = new Deliverer(dependencies, { ...options, webhooks, deliveries, allowed });
  const onDue = () => deliverer.wake();
  const announcer = new Announcer(dependencies, { ...options, announcements, onRecorded: onDue });
  const onAdded = (accountId: string) => announcer.compareAccount(accountId);
  return {
    service: new WebhookService(dependencies, { webhooks, deliveries, allowed, onAdded, onDue }),
    inFlight: () => deliverer.inFlight,
    start: () => {
      announcer.start();
      deliverer.start();
    },
    stop: async () => {
      await Promise.all([announcer.stop(), deliverer.stop()]);
    },
  };
}
