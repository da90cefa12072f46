import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import type { Dataset, NewShare } from '../../src/client/client.js';
import { ONLY_READS, useCanWrite } from '../session/account.js';
import { useClient } from '../session/client.js';
import { useRequesting } from '../session/dialog-form.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Alert } from '../ui/loaded.js';
import { Button } from '../ui/button.js';
import { CopyLine } from '../ui/copy.js';
import { Dialog } from '../ui/dialog.js';
import { LoopbackNote } from '../session/loopback-note.js';
import { Choices } from '../ui/panel.js';

const DAY_SECONDS = 86_400;
const DAYS = { 1: 'a day', 7: 'a week', 30: '30 days', 365: 'a year' } as const;

/** Makes a link that shows a dataset to a person without an account, and lists and revokes those that exist. */
export function ShareDialog({ dataset, onClose }: { dataset: Dataset; onClose: () => void }) {
  const client = useClient();
  const canWrite = useCanWrite();
  const { id, name } = dataset;
  const [days, setDays] = useState<number>(7);
  const [made, setMade] = useState<NewShare>();
  const { failure, isBusy, run } = useRequesting();
  const queries = useQueryClient();
  const queryKey = ['shares', id];
  const { data: shares = [] } = useQuery({
    queryKey,
    queryFn: ({ signal }) => client.shares.list(id, { signal }),
    refetchOnMount: 'always',
  });

  const act = async (work: () => Promise<void>) => {
    await run(work);
    void queries.invalidateQueries({ queryKey });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void act(async () => setMade(await client.shares.make(id, { expiresInSeconds: days * DAY_SECONDS })));
  };
  const revoke = (shareId: string) =>
    void act(async () => {
      await client.shares.revoke(id, shareId);
      if (shareId === made?.id) setMade(undefined);
    });

  return (
    <Dialog
      title={`Share ${name}`}
      onClose={onClose}
      staysOnClickOutside={made !== undefined}
      close={{ children: 'Done' }}
    >
      <p className="text-sm">
        Who has the link sees the current images, clips and captions of this dataset and can download them, without an
        account. It shows no other dataset and no earlier revision, and changes nothing.
      </p>
      {canWrite ? (
        <form onSubmit={submit} className="flex flex-wrap items-center gap-3">
          <Choices label="Valid for" options={DAYS} value={days} onChange={setDays} />
          <Button type="submit" kind="primary" disabled={isBusy}>
            Create a link
          </Button>
        </form>
      ) : (
        <p className="text-sm">{ONLY_READS} It can't create or revoke links.</p>
      )}
      {canWrite && <LoopbackNote url={location.origin} then="create the link there" />}
      {made !== undefined && (
        <div className="flex flex-col gap-1">
          <p className="text-sm font-medium">Copy it now. It is not shown again.</p>
          <CopyLine text={made.url} what="the link" />
        </div>
      )}
      <Alert>{failure}</Alert>
      {shares.length > 0 && (
        <ul
          aria-label="Links to this dataset"
          className="flex max-h-48 flex-col divide-y divide-line overflow-y-auto text-sm"
        >
          {shares.map((share) => (
            <li key={share.id} className="flex items-center gap-2 py-1">
              <span className="mr-auto">
                <code>{share.hint}…</code> {share.name === null ? '' : `for ${share.name}, `}
                {share.expires_at !== null && `until ${momentOf(dateOf(share.expires_at))}`}
              </span>
              {canWrite && (
                <Button aria-label={`Revoke the link ${share.hint}`} disabled={isBusy} onClick={() => revoke(share.id)}>
                  Revoke
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
