import { type QueryClient, useQuery } from '@tanstack/react-query';
import type { WebhookDelivery } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';
import { dateOf } from '../../ui/ago.js';

const KEY = ['webhooks'];
const deliveriesKeyOf = (id: string) => ['webhook-deliveries', id] as const;

/** Between two reads of the deliveries: at least while an attempt is due, and at most. */
const SOON_MS = 1000;
const LATER_MS = 30_000;

/** The webhooks of the account, if the token may list them. */
export function useWebhooks({ enabled }: { enabled: boolean }) {
  const client = useClient();
  return useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => client.webhooks.list({ signal }),
    refetchOnMount: 'always',
    // A receiver's answer of 410 disables its webhook.
    refetchInterval: LATER_MS,
    enabled,
  });
}

/** The last deliveries of a webhook, newest first, read again when the next attempt is due. */
export function useDeliveries(id: string) {
  const client = useClient();
  return useQuery({
    queryKey: deliveriesKeyOf(id),
    queryFn: ({ signal }) => client.webhooks.deliveries(id, { signal }),
    refetchOnMount: 'always',
    refetchInterval: ({ state: { data = [] } }) => untilNextAttempt(data),
  });
}

export function refetchWebhooks(queries: QueryClient): Promise<void> {
  return queries.invalidateQueries({ queryKey: KEY });
}

export function refetchDeliveries(queries: QueryClient, id: string): Promise<void> {
  return queries.invalidateQueries({ queryKey: deliveriesKeyOf(id) });
}

function untilNextAttempt(deliveries: readonly WebhookDelivery[]): number {
  const times = deliveries.flatMap(({ next_attempt_at: at }) => (at === null ? [] : dateOf(at).getTime() - Date.now()));
  return Math.max(SOON_MS, Math.min(LATER_MS, ...times));
}
