import { useQueryClient } from '@tanstack/react-query';
import type { Webhook } from '../../../src/client/client.js';
import { RelativeTime } from '../../datasets/relative-time.js';
import { useClient } from '../../session/client.js';
import { useRequesting } from '../../session/dialog-form.js';
import { WriteButton } from '../../session/write-button.js';
import { DeliveryList, eventWord } from './deliveries.js';
import { refetchDeliveries, refetchWebhooks } from './use-webhooks.js';

/** A webhook with its events and last deliveries, and what can be done with it. */
export function WebhookItem({ webhook, onDelete }: { webhook: Webhook; onDelete: () => void }) {
  const { id, url, events, enabled, created_at } = webhook;
  const client = useClient();
  const queries = useQueryClient();
  const { failure, isBusy, run } = useRequesting();
  const test = async () => {
    await client.webhooks.test(id);
    await refetchDeliveries(queries, id);
  };
  const change = async () => {
    await client.webhooks.change(id, { enabled: !enabled });
    await Promise.all([refetchWebhooks(queries), refetchDeliveries(queries, id)]);
  };
  const resend = async (deliveryId: string) => {
    await client.webhooks.resend(id, deliveryId);
    await refetchDeliveries(queries, id);
  };
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
        <WriteButton aria-label={`Send a test to ${url}`} disabled={isBusy || !enabled} onClick={() => void run(test)}>
          Send a test
        </WriteButton>
        <WriteButton
          aria-label={`${enabled ? 'Disable' : 'Enable'} ${url}`}
          disabled={isBusy}
          onClick={() => void run(change)}
        >
          {enabled ? 'Disable' : 'Enable'}
        </WriteButton>
        <WriteButton kind="danger" aria-label={`Delete ${url}`} disabled={isBusy} onClick={onDelete}>
          Delete
        </WriteButton>
      </div>
      <p role="alert" className="text-sm wrap-anywhere text-bad empty:hidden">
        {failure}
      </p>
      <DeliveryList webhook={webhook} isBusy={isBusy} onResend={(deliveryId) => void run(() => resend(deliveryId))} />
    </li>
  );
}
