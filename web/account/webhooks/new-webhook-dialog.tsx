import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { WebhookEvent } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';
import { FormDialog } from '../../session/dialog-form.js';
import { Button } from '../../ui/button.js';
import { CopyLine } from '../../ui/copy.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { CheckField, TextField } from '../../ui/fields.js';
import { EVENT_WORDS, refetchWebhooks } from './deliveries.js';

const EVENTS = Object.entries(EVENT_WORDS) as [WebhookEvent, string][];

/** Makes a webhook, and shows its secret once. */
export function NewWebhookDialog({ onClose }: { onClose: () => void }) {
  const [secret, setSecret] = useState<string>();
  return secret === undefined ? (
    <WebhookForm onMade={setSecret} onClose={onClose} />
  ) : (
    <Dialog title="The secret of the new webhook" onClose={onClose} staysOnClickOutside>
      <p>
        Copy it now. It is not shown again. Your receiver compares the signature of each request with it, before it uses
        the body.
      </p>
      <CopyLine text={secret} what="the secret" />
      <DialogActions>
        <Button kind="primary" onClick={onClose}>
          Done
        </Button>
      </DialogActions>
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
