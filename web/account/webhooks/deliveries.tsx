import { type QueryClient, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Webhook, WebhookDelivery, WebhookEvent } from '../../../src/client/client.js';
import { RelativeTime } from '../../datasets/relative-time.js';
import { useDatasets } from '../../live/datasets.js';
import { useClient } from '../../session/client.js';
import { WriteButton } from '../../session/write-button.js';
import { dateOf, momentOf } from '../../ui/ago.js';
import { Loaded } from '../../ui/loaded.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf } from '../../ui/format.js';

/** Deliveries that are shown before a click on the button that shows all. */
const SHOWN_AT_FIRST = 3;

/** The events that a webhook can receive. */
export const EVENT_WORDS: Record<WebhookEvent, string> = {
  'dataset.ready': 'READY',
  'dataset.failed': 'FAILED',
  'dataset.deleted': 'deleted',
  'captions.finished': 'captions finished',
};

/** What the page calls an event; a service newer than this page may send others. */
export function eventWord(event: string): string {
  return EVENT_WORDS[event as WebhookEvent] ?? event;
}

interface DeliveryListProps {
  readonly webhook: Webhook;
  readonly isBusy: boolean;
  readonly onResend: (id: string) => void;
}

/** The last deliveries of a webhook, each with its state and time. */
export function DeliveryList(props: DeliveryListProps) {
  const query = useDeliveries(props.webhook.id);
  return <Loaded of={query}>{(deliveries) => <Deliveries {...props} deliveries={deliveries} />}</Loaded>;
}

function Deliveries(props: DeliveryListProps & { deliveries: readonly WebhookDelivery[] }) {
  const { deliveries, isBusy, onResend } = props;
  const { url, enabled } = props.webhook;
  const { data: datasets = [] } = useDatasets();
  const [areAllShown, setAllShown] = useState(false);
  if (deliveries.length === 0) return <p className="text-sm text-muted">Nothing was sent yet.</p>;
  const names = new Map(datasets.map((dataset) => [dataset.id, dataset.name]));
  const hidden = areAllShown ? 0 : deliveries.length - SHOWN_AT_FIRST;
  return (
    <div className="flex flex-col items-start gap-1">
      <ul aria-label={`Last deliveries to ${url}`} className="flex w-full flex-col gap-1 text-sm">
        {deliveries.slice(0, deliveries.length - Math.max(0, hidden)).map((delivery) => (
          <li key={delivery.id} className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span className="font-medium wrap-anywhere">{titleOf(delivery, names)}</span>
            <State delivery={delivery} isEnabled={enabled} />
            {delivery.attempts > 0 && (
              <WriteButton
                kind="quiet"
                aria-label={`Send again: ${titleOf(delivery, names)} to ${url}`}
                disabled={isBusy || !enabled}
                onClick={() => onResend(delivery.id)}
                className="text-accent"
              >
                Send again
              </WriteButton>
            )}
          </li>
        ))}
      </ul>
      {hidden > 0 && (
        <Button
          kind="quiet"
          aria-label={`Show ${numberOf(hidden)} more deliveries to ${url}`}
          onClick={() => setAllShown(true)}
        >
          Show {numberOf(hidden)} more
        </Button>
      )}
    </div>
  );
}

/** `READY: railway`; a deleted dataset has no name any more. */
function titleOf({ event, dataset_id }: WebhookDelivery, names: ReadonlyMap<string, string>): string {
  if (event === 'webhook.test') return 'test';
  const name = dataset_id === null ? undefined : names.get(dataset_id);
  return `${eventWord(event)}: ${name ?? `dataset ${(dataset_id ?? '').slice(0, 8)}`}`;
}

const STATE_COLOURS = { delivered: 'text-good', waiting: 'text-busy', failed: 'text-bad' } as const;

function State({ delivery, isEnabled }: { delivery: WebhookDelivery; isEnabled: boolean }) {
  const { state, created_at, attempts, attempted_at, next_attempt_at, answer, error } = delivery;
  return (
    <span className="min-w-0 grow basis-40 text-muted wrap-anywhere">
      <span className={STATE_COLOURS[state]}>{state}</span>
      {state === 'delivered' && answer !== null && ` with ${answer}`} <RelativeTime time={attempted_at ?? created_at} />
      {attempts > 1 && ` after ${countOf(attempts, 'attempt')}`}
      {state !== 'delivered' && error !== null && `: ${error}`}
      {state === 'waiting' && !isEnabled && ' · sent when the webhook is enabled'}
      {state === 'waiting' && isEnabled && attempts > 0 && next_attempt_at !== null && (
        <> · next attempt {momentOf(dateOf(next_attempt_at))}</>
      )}
    </span>
  );
}

const KEY = ['webhooks'];

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
function useDeliveries(id: string) {
  const client = useClient();
  return useQuery({
    queryKey: [...KEY, id],
    queryFn: ({ signal }) => client.webhooks.deliveries(id, { signal }),
    refetchOnMount: 'always',
    refetchInterval: ({ state: { data = [] } }) => untilNextAttempt(data),
  });
}

/** With their deliveries. */
export function refetchWebhooks(queries: QueryClient): Promise<void> {
  return queries.invalidateQueries({ queryKey: KEY });
}

function untilNextAttempt(deliveries: readonly WebhookDelivery[]): number {
  const times = deliveries.flatMap(({ next_attempt_at: at }) => (at === null ? [] : dateOf(at).getTime() - Date.now()));
  return Math.max(SOON_MS, Math.min(LATER_MS, ...times));
}
