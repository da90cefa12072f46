import { type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import type { Webhook, WebhookDelivery, WebhookEvent } from '../../src/client/client.js';
import { RelativeTime } from '../datasets/relative-time.js';
import { useDatasets } from '../live/datasets.js';
import { useAccount } from '../session/account.js';
import { useClient } from '../session/client.js';
import { FormDialog, useRequesting } from '../session/dialog-form.js';
import { WriteButton } from '../session/write-button.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Button } from '../ui/button.js';
import { CopyLine } from '../ui/copy.js';
import { Dialog } from '../ui/dialog.js';
import { CheckField, TextField } from '../ui/fields.js';
import { countOf, numberOf } from '../ui/format.js';
import { Alert, Loaded } from '../ui/loaded.js';
import { Panel } from '../ui/panel.js';

/** The events that a webhook can receive. */
const EVENT_WORDS: Record<WebhookEvent, string> = {
  'dataset.ready': 'READY',
  'dataset.failed': 'FAILED',
  'dataset.deleted': 'deleted',
  'captions.finished': 'captions finished',
};

/** What the page calls an event; a service newer than this page may send others. */
function eventWord(event: string): string {
  return EVENT_WORDS[event as WebhookEvent] ?? event;
}

const KEY = ['webhooks'];

/** Between two reads of the deliveries: at least while an attempt is due, and at most. */
const SOON_MS = 1000;
const LATER_MS = 30_000;

/** The webhooks of the account: made, tested, disabled and deleted, each with its last deliveries. */
export function WebhooksPanel() {
  const account = useAccount();
  const client = useClient();
  // Webhooks report on all datasets, so the service does not list them to a token that is bound to some.
  const isBound = Boolean(account?.token.datasets);
  const webhooks = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => client.webhooks.list({ signal }),
    refetchOnMount: 'always',
    // A receiver's answer of 410 disables its webhook.
    refetchInterval: LATER_MS,
    enabled: account !== undefined && !isBound,
  });
  const [isMaking, setMaking] = useState(false);
  return (
    <Panel
      title="Webhooks"
      aside={
        !isBound && (
          <WriteButton
            icon={Plus}
            kind="primary"
            disabled={webhooks.data === undefined}
            onClick={() => setMaking(true)}
          >
            New webhook
          </WriteButton>
        )
      }
    >
      <p className="text-sm text-muted">
        A webhook is a URL of yours to which the service sends a signed POST when a dataset is READY, FAILED or deleted,
        so that a training queue can start by itself.
      </p>
      {isBound ? (
        <p className="text-sm">
          Your token is bound to certain datasets, and webhooks report on all datasets. Sign in with another token to
          see them.
        </p>
      ) : (
        <Loaded of={webhooks}>
          {(all) =>
            all.length === 0 ? (
              <p className="text-sm text-muted">There are no webhooks.</p>
            ) : (
              <ul aria-label="Webhooks" className="flex flex-col divide-y divide-line">
                {all.map((webhook) => (
                  <WebhookItem key={webhook.id} webhook={webhook} />
                ))}
              </ul>
            )
          }
        </Loaded>
      )}
      {isMaking && <NewWebhookDialog onClose={() => setMaking(false)} />}
    </Panel>
  );
}

/** A webhook with its events and last deliveries, and what can be done with it. */
function WebhookItem({ webhook }: { webhook: Webhook }) {
  const { id, url, events, enabled, created_at } = webhook;
  const { webhooks } = useClient();
  const queries = useQueryClient();
  const { failure, isBusy, run } = useRequesting();
  const [isDeleting, setDeleting] = useState(false);
  const deliveries = useDeliveries(id);
  const act = (work: () => Promise<unknown>) =>
    void run(async () => {
      await work();
      await refetchWebhooks(queries);
    });
  return (
    <li className="flex flex-col gap-2 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="mr-auto min-w-0">
          <p className="flex flex-wrap items-center gap-2 font-medium wrap-anywhere">
            {url}
            {!enabled && <span className="rounded-full bg-warn-soft px-2 text-xs text-warn">disabled</span>}
          </p>
          <p className="text-sm text-muted">
            {events.map(eventWord).join(', ')} · made <RelativeTime time={created_at} />
          </p>
        </div>
        <WriteButton
          aria-label={`Send a test to ${url}`}
          disabled={isBusy || !enabled}
          onClick={() => act(() => webhooks.test(id))}
        >
          Send a test
        </WriteButton>
        <WriteButton
          aria-label={`${enabled ? 'Disable' : 'Enable'} ${url}`}
          disabled={isBusy}
          onClick={() => act(() => webhooks.change(id, { enabled: !enabled }))}
        >
          {enabled ? 'Disable' : 'Enable'}
        </WriteButton>
        <WriteButton kind="danger" aria-label={`Delete ${url}`} disabled={isBusy} onClick={() => setDeleting(true)}>
          Delete
        </WriteButton>
      </div>
      <Alert>{failure}</Alert>
      <Loaded of={deliveries}>
        {(all) => (
          <Deliveries
            {...{ webhook, isBusy }}
            deliveries={all}
            onResend={(deliveryId) => act(() => webhooks.resend(id, deliveryId))}
          />
        )}
      </Loaded>
      {isDeleting && (
        <FormDialog
          title="Delete this webhook?"
          onClose={() => setDeleting(false)}
          work={async () => {
            await webhooks.remove(id);
            await refetchWebhooks(queries);
          }}
          kind="danger"
          label="Delete"
          busyLabel="Deleting …"
        >
          <p className="wrap-anywhere">
            {url} gets no more events, also none that wait, and its list of deliveries is deleted. A new webhook has
            another secret.
          </p>
        </FormDialog>
      )}
    </li>
  );
}

const EVENTS = Object.entries(EVENT_WORDS) as [WebhookEvent, string][];

/** Makes a webhook, and shows its secret once. */
function NewWebhookDialog({ onClose }: { onClose: () => void }) {
  const [secret, setSecret] = useState<string>();
  return secret === undefined ? (
    <WebhookForm onMade={setSecret} onClose={onClose} />
  ) : (
    <Dialog
      title="The secret of the new webhook"
      onClose={onClose}
      staysOnClickOutside
      close={{ kind: 'primary', children: 'Done' }}
    >
      <p>
        Copy it now. It is not shown again. Your receiver compares the signature of each request with it, before it uses
        the body.
      </p>
      <CopyLine text={secret} what="the secret" />
    </Dialog>
  );
}

function WebhookForm({ onMade, onClose }: { onMade: (secret: string) => void; onClose: () => void }) {
  const client = useClient();
  const queries = useQueryClient();
  const [url, setUrl] = useState('');
  const [chosen, setChosen] = useState<ReadonlySet<WebhookEvent>>(new Set(EVENTS.map(([event]) => event)));
  const make = async () => {
    const { secret } = await client.webhooks.add(url.trim(), { events: [...chosen] });
    void refetchWebhooks(queries);
    onMade(secret);
  };
  const choose = (event: WebhookEvent, isChosen: boolean) =>
    setChosen(
      (known) => new Set(EVENTS.flatMap(([each]) => ((each === event ? isChosen : known.has(each)) ? each : []))),
    );
  return (
    <FormDialog
      title="New webhook"
      onClose={onClose}
      work={make}
      label="Create webhook"
      busyLabel="Creating …"
      isDisabled={url.trim() === '' || chosen.size === 0}
    >
      <TextField
        label="URL"
        type="url"
        spellCheck={false}
        value={url}
        onChange={setUrl}
        placeholder="https://queue.example/trainyard"
        help={
          <>
            Webhooks are sent over https to hosts of the public Internet. All other addresses are rejected, unless the
            operator lists them in <code className="whitespace-nowrap">--webhook-allow</code>.
          </>
        }
      />
      <fieldset className="flex flex-col gap-1 text-sm">
        <legend className="mb-1 font-medium">Send when a dataset</legend>
        {EVENTS.map(([event, word]) => (
          <CheckField key={event} isChecked={chosen.has(event)} onChange={(isChecked) => choose(event, isChecked)}>
            {event === 'dataset.deleted' ? 'was deleted' : `has become ${word}`}
          </CheckField>
        ))}
      </fieldset>
    </FormDialog>
  );
}

/** Deliveries that are shown before a click on the button that shows all. */
const SHOWN_AT_FIRST = 3;

interface DeliveriesProps {
  readonly webhook: Webhook;
  readonly deliveries: readonly WebhookDelivery[];
  readonly isBusy: boolean;
  readonly onResend: (id: string) => void;
}

/** The last deliveries of a webhook, each with its state and time. */
function Deliveries({ webhook: { url, enabled }, deliveries, isBusy, onResend }: DeliveriesProps) {
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
function refetchWebhooks(queries: QueryClient): Promise<void> {
  return queries.invalidateQueries({ queryKey: KEY });
}

function untilNextAttempt(deliveries: readonly WebhookDelivery[]): number {
  const times = deliveries.flatMap(({ next_attempt_at: at }) => (at === null ? [] : dateOf(at).getTime() - Date.now()));
  return Math.max(SOON_MS, Math.min(LATER_MS, ...times));
}
