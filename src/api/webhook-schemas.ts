import { z } from 'zod';
import { flag, text, wireCount as count, wireTime, wordOf } from './values.js';

/** Besides tests. */
export const WEBHOOK_EVENTS = ['dataset.ready', 'dataset.failed', 'dataset.deleted', 'captions.finished'] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

/** Percent-encoded, and with the host in ASCII. */
export const MAX_URL_LENGTH = 2000;

const url = z
  .string()
  .max(MAX_URL_LENGTH)
  .meta({
    description:
      'Where events are sent: an https URL of a public address, or one that the operator allows with --webhook-allow.',
    examples: ['https://queue.example/trainyard'],
  });
const events = z.array(z.enum(WEBHOOK_EVENTS)).min(1).max(WEBHOOK_EVENTS.length).meta({
  description: 'The events that it receives; by default all.',
});
const enabled = flag('False: no event is recorded for it, and none is sent. An answer of 410 disables a webhook.');

export const webhookBody = z.strictObject({ url, events: events.optional() });
export const webhookChangeBody = z.strictObject({
  url: url.optional(),
  events: events.optional(),
  enabled: enabled.optional(),
});

export const wireWebhook = z
  .object({ id: z.string(), url: z.string(), events: z.array(wordOf(WEBHOOK_EVENTS)), enabled, created_at: wireTime })
  .meta({ id: 'Webhook' });

export const wireNewWebhook = wireWebhook
  .extend({
    secret: text('Verifies the signatures of its deliveries; `whsec_` and Base64. It is not shown again.'),
  })
  .meta({ id: 'NewWebhook' });

export const wireWebhooks = z.object({ webhooks: z.array(wireWebhook) }).meta({ id: 'Webhooks' });

export const wireDelivery = z
  .object({
    id: text('The header `webhook-id` of each of its attempts.'),
    event: wordOf([...WEBHOOK_EVENTS, 'webhook.test']),
    dataset_id: z.string().nullable().meta({ description: 'Null for a test.' }),
    state: wordOf(['waiting', 'delivered', 'failed']).describe(
      'waiting: an attempt follows at `next_attempt_at`. failed: no attempt follows.',
    ),
    created_at: wireTime,
    attempts: count,
    attempted_at: wireTime.nullable(),
    next_attempt_at: wireTime.nullable(),
    answer: z.int().nullable().meta({ description: 'The HTTP status of the last answer; null without one.' }),
    error: z.string().nullable().meta({ description: 'Why the last attempt failed.' }),
  })
  .meta({ id: 'WebhookDelivery' });

export const wireDeliveries = z
  .object({
    deliveries: z.array(wireDelivery).meta({ description: 'The last 100, and older ones that wait; newest first.' }),
  })
  .meta({ id: 'WebhookDeliveries' });

export type WireWebhook = z.infer<typeof wireWebhook>;
export type WireNewWebhook = z.infer<typeof wireNewWebhook>;
export type WireDelivery = z.infer<typeof wireDelivery>;
