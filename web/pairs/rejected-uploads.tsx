import { useMemo } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { nameMatcher, rejectedUploadsOf } from '../live/pairs.js';
import { useWithdrawal } from '../live/use-withdrawal.js';
import { useIsShared } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { Alert } from '../ui/loaded.js';
import { countOf, numberOf } from '../ui/format.js';
import { LongList } from '../ui/long-list.js';
import { ReplaceButton } from '../upload/add-files/replace-button.js';

/** Lists uploads that were rejected or have expired, with the reason, until they are dismissed. */
export function RejectedUploads({ dataset, search }: { dataset: DatasetWithFiles; search: string }) {
  const uploads = useMemo(() => {
    const matches = nameMatcher(search);
    return rejectedUploadsOf(dataset).filter(({ filename }) => matches([filename]));
  }, [dataset, search]);
  const { withdraw, withdrawing, failure } = useWithdrawal(dataset.id);
  const isShared = useIsShared();
  if (uploads.length === 0) {
    const { rejected } = dataset.counts;
    return (
      <p className="py-8 text-muted">
        {rejected > 0
          ? `${countOf(rejected, 'upload')} rejected. The reasons appear here once all uploads have ended.`
          : 'No upload was rejected.'}
      </p>
    );
  }
  return (
    <section aria-label="Rejected uploads" className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-3">
        <p className="mr-auto max-w-prose text-sm text-muted">
          These files are not in the dataset, and it can't be READY while they are listed.
          {!isShared && ' Upload a corrected file under the same name, or dismiss the entry.'}
        </p>
        {uploads.length > 1 && (
          <WriteButton
            disabled={withdrawing.size > 0}
            onClick={() => void withdraw(uploads.map(({ filename }) => filename))}
          >
            Dismiss all {numberOf(uploads.length)}
          </WriteButton>
        )}
      </div>
      <Alert>{failure}</Alert>
      <LongList isFramed label="Rejected" items={uploads}>
        {({ filename, problem }) => (
          <div className="flex items-center gap-3 px-4 py-2">
            <div className="mr-auto min-w-0">
              <p className="truncate text-sm font-medium" title={filename}>
                {filename}
              </p>
              <p className="text-sm wrap-anywhere text-bad">{problem.message}</p>
            </div>
            <span className="flex shrink-0 gap-2 max-sm:flex-col">
              <ReplaceButton datasetId={dataset.id} filename={filename} etag={undefined} />
              <WriteButton
                aria-label={`Dismiss ${filename}`}
                disabled={withdrawing.has(filename)}
                onClick={() => void withdraw([filename])}
              >
                Dismiss
              </WriteButton>
            </span>
          </div>
        )}
      </LongList>
    </section>
  );
}
