import { Plus } from 'lucide-react';
import { useState } from 'react';
import type { Webhook } from '../../../src/client/client.js';
import { useAccount } from '../../session/account.js';
import { WriteButton } from '../../session/write-button.js';
import { Button } from '../../ui/button.js';
import { messageOf } from '../../ui/format.js';
import { Panel } from '../../ui/panel.js';
import { DeleteWebhookDialog } from './delete-webhook-dialog.js';
import { NewWebhookDialog } from './new-webhook-dialog.js';
import { useWebhooks } from './use-webhooks.js';
import { WebhookItem } from './webhook-item.js';

/** The webhooks of the account: made, tested, disabled and deleted, each with its last deliveries. */
export function WebhooksPanel() {
  const account = useAccount();
  // Webhooks report on all datasets, so the service does not list them to a token that is bound to some.
  const isBound = Boolean(account?.token.datasets);
  const { data: webhooks, error, refetch } = useWebhooks({ enabled: account !== undefined && !isBound });
  const [isMaking, setMaking] = useState(false);
  const [toDelete, setToDelete] = useState<Webhook>();
  return (
    <Panel
      title="Webhooks"
      aside={
        !isBound && (
          <WriteButton kind="primary" disabled={webhooks === undefined} onClick={() => setMaking(true)}>
            <Plus size={16} aria-hidden /> New webhook
          </WriteButton>
        )
      }
    >
      <p className="text-sm text-muted">
        A webhook is a URL of yours to which the service sends a signed POST when a dataset is READY, FAILED or deleted,
        so that a training queue can start by itself.
      </p>
      {isBound && (
        <p className="text-sm">
          Your token is bound to certain datasets, and webhooks report on all datasets. Sign in with another token to
          see them.
        </p>
      )}
      {error !== null && (
        <p role="alert" className="flex items-center gap-3 text-sm">
          {messageOf(error)} <Button onClick={() => void refetch()}>Try again</Button>
        </p>
      )}
      {webhooks === undefined && error === null && !isBound && <p aria-live="polite">Loading …</p>}
      {webhooks?.length === 0 && <p className="text-sm text-muted">There are no webhooks.</p>}
      {webhooks !== undefined && webhooks.length > 0 && (
        <ul aria-label="Webhooks" className="flex flex-col divide-y divide-line">
          {webhooks.map((webhook) => (
            <WebhookItem key={webhook.id} webhook={webhook} onDelete={() => setToDelete(webhook)} />
          ))}
        </ul>
      )}
      {isMaking && <NewWebhookDialog onClose={() => setMaking(false)} />}
      {toDelete !== undefined && <DeleteWebhookDialog webhook={toDelete} onClose={() => setToDelete(undefined)} />}
    </Panel>
  );
}
