import { CircleAlert } from 'lucide-react';
import type { DatasetWithFiles, TrainyardClient } from '../../../src/client/client.js';
import { useDataset } from '../../live/dataset.js';
import { unsentFilesOf } from '../../live/pairs.js';
import { useCanWrite } from '../../session/account.js';
import { useClient } from '../../session/client.js';
import { useRequesting } from '../../session/dialog-form.js';
import { Alert } from '../../ui/loaded.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { AddButton } from '../add-files/add-buttons.js';
import { useUploads } from '../queue/upload-queue.js';
import { wasInterrupted } from '../queue/unfinished-uploads.js';

/** Says that announced files are not being sent by any client, with what to do. Renders nothing while an upload runs. */
export function InterruptedUpload({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, status, counts, interrupted } = dataset;
  const client = useClient();
  const canWrite = useCanWrite();
  const { refetch } = useDataset(id);
  const { batches } = useUploads();
  const { failure, isBusy, run } = useRequesting();
  const withdraw = () => void run(() => withdrawUnsent(client, id).finally(refetch));
  const isSentHere = batches.some(
    ({ dataset, phase, isUnfinished }) => dataset.id === id && (isUnfinished || phase.state === 'cancelling'),
  );
  // All pending uploads of a FAILED dataset have expired.
  const isInterrupted = status === 'FAILED' || interrupted === true || wasInterrupted(dataset);
  if (counts.pending === 0 || isSentHere || !isInterrupted) return null;
  const unsent = unsentFilesOf(dataset);
  return (
    <section
      aria-label="Interrupted upload"
      className="flex flex-col gap-2 rounded-xl border border-line bg-warn-soft px-4 py-3 text-sm"
    >
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <p role="status" className="mr-auto flex items-start gap-2">
          <CircleAlert size={18} className="mt-0.5 shrink-0 text-warn" aria-hidden />
          <span>
            Interrupted: {countOf(counts.pending, 'file')} {counts.pending === 1 ? 'was' : 'were'} announced and not
            sent.{canWrite && ' Choose the folder again to continue: only what is missing is sent. Or withdraw them.'}
          </span>
        </p>
        {canWrite && (
          <span className="flex flex-wrap gap-2">
            <AddButton isFolder datasetId={id} label="Choose the folder" />
            <AddButton datasetId={id} label="Choose files" />
            <Button disabled={isBusy} onClick={withdraw}>
              {isBusy ? 'Withdrawing …' : `Withdraw ${countOf(counts.pending, 'file')}`}
            </Button>
          </span>
        )}
      </div>
      <Alert>{failure && `Could not withdraw them. ${failure}`}</Alert>
      <details>
        <summary className="w-fit touch cursor-pointer content-center rounded py-1">
          {unsent.length < counts.pending ? `The first ${numberOf(unsent.length)} names` : 'Their names'}
        </summary>
        <LongList isFramed label="Files that were not sent" items={unsent}>
          {(filename) => <p className="px-3 py-2 wrap-anywhere">{filename}</p>}
        </LongList>
      </details>
    </section>
  );
}

/** Withdraws all uploads that were announced and not sent, of which the service lists a thousand at a time. */
async function withdrawUnsent(client: TrainyardClient, id: string): Promise<void> {
  for (;;) {
    const names = unsentFilesOf(await client.status(id));
    const answers = await client.bulk.withdraw(id, names);
    // The others are being received, or have arrived.
    if (!answers.some(({ withdrawn }) => withdrawn)) return;
  }
}
