import { useQueryClient } from '@tanstack/react-query';
import type { Webhook } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';
import { FormDialog } from '../../session/dialog-form.js';
import { refetchWebhooks } from './use-webhooks.js';

/** Asks before a webhook is deleted. */
export function DeleteWebhookDialog({ webhook, onClose }: { webhook: Webhook; onClose: () => void }) {
  const client = useClient();
  const queries = useQueryClient();
  const remove = async () => {
    await client.webhooks.remove(webhook.id);
    await refetchWebhooks(queries);
    onClose();
  };
  return (
    <FormDialog
      title="Delete this webhook?"
      onClose={onClose}
      work={remove}
      kind="danger"
      label="Delete"
      busyLabel="Deleting …"
    >
      <p className="wrap-anywhere">
        {webhook.url} gets no more events, also none that wait, and its list of deliveries is deleted. A new webhook has
        another secret.
      </p>
    </FormDialog>
  );
}
