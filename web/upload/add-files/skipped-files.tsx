import { countOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';

interface SkippedFilesProps {
  readonly rejected: readonly { readonly path: string; readonly reason: string }[];
  /** Number of files that an operating system or a trainer made. */
  readonly hidden: number;
  readonly unchanged?: number;
}

/** Lists the files that will not be uploaded, with the reasons. */
export function SkippedFiles({ rejected, hidden, unchanged = 0 }: SkippedFilesProps) {
  return (
    <>
      {rejected.length > 0 && (
        <section className="flex flex-col gap-1">
          <h3 className="text-sm font-medium">{countOf(rejected.length, 'file')} can't be uploaded</h3>
          <LongList isFramed label="Skipped files" items={rejected}>
            {({ path, reason }) => (
              <div className="px-3 py-2 text-sm">
                <p className="font-medium break-all">{path}</p>
                <p className="text-muted wrap-anywhere">{reason}</p>
              </div>
            )}
          </LongList>
        </section>
      )}
      {(hidden > 0 || unchanged > 0) && (
        <p className="text-sm text-muted">
          {[
            unchanged > 0 && `${countOf(unchanged, 'file')} skipped: already in the dataset, with the same bytes.`,
            hidden > 0 && `${countOf(hidden, 'hidden system file')} skipped.`,
          ]
            .filter(Boolean)
            .join(' ')}
        </p>
      )}
    </>
  );
}
