import { useQueryClient } from '@tanstack/react-query';
import type { Webhook } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';
import { DialogForm, useRequesting } from '../../session/dialog-form.js';
import { Dialog } from '../../ui/dialog.js';
import { refetchWebhooks } from './use-webhooks.js';

/** Asks before a webhook is deleted. */
export function DeleteWebhookDialog({ webhook, onClose }: { webhook: Webhook; onClose: () => void }) {
  const client = useClient();
  const queries = useQueryClient();
  const requesting = useRequesting();
  const remove = async () => {
    await client.webhooks.remove(webhook.id);
    await refetchWebhooks(queries);
    onClose();
  };
  return (
    <Dialog title="Delete this webhook?" onClose={onClose}>
      <DialogForm
        requesting={requesting}
        work={remove}
        kind="danger"
        label="Delete"
        busyLabel="Deleting …"
        onCancel={onClose}
      >
        <p className="wrap-anywhere">
          {webhook.url} gets no more events, also none that wait, and its list of deliveries is deleted. A new webhook
          has another secret.
        </p>
      </DialogForm>
    </Dialog>
  );
}
