import { memo, useState } from 'react';
import { Link } from 'wouter';
import type { DatasetFile } from '../../src/client/client.js';
import { Thumbnail } from '../live/thumbnail.js';
import { Button } from '../ui/button.js';
import { numberOf } from '../ui/format.js';

const FIRST = 24;
const MORE = 96;

export interface Flagged {
  readonly file: DatasetFile;
  /** The number for which it is shown, such as `12 %`. */
  readonly figure: string;
}

interface FlaggedImagesProps {
  readonly datasetId: string;
  readonly label: string;
  readonly flagged: readonly Flagged[];
}

/** Images that are worth a look, each with the way to its file; the first few of many, and more on demand. */
export const FlaggedImages = memo(function FlaggedImages({ datasetId, label, flagged }: FlaggedImagesProps) {
  const [shown, setShown] = useState(FIRST);
  const hidden = flagged.length - shown;
  return (
    <div className="flex flex-col items-start gap-3">
      <ul aria-label={label} className="grid w-full grid-cols-[repeat(auto-fill,minmax(6.5rem,1fr))] gap-3">
        {flagged.slice(0, shown).map(({ file, figure }) => (
          <li key={file.filename}>
            <FlaggedImage datasetId={datasetId} file={file} figure={figure} />
          </li>
        ))}
      </ul>
      {hidden > 0 && (
        <Button onClick={() => setShown(shown + MORE)}>
          Show {numberOf(Math.min(MORE, hidden))} more of {numberOf(hidden)}
        </Button>
      )}
    </div>
  );
});

function FlaggedImage({ datasetId, file, figure }: Flagged & { datasetId: string }) {
  return (
    <Link
      href={`/datasets/${datasetId}?file=${encodeURIComponent(file.filename)}`}
      title={`Show ${file.filename}`}
      className="group flex flex-col gap-1 rounded-lg text-xs"
    >
      <span className="flex aspect-square items-center justify-center overflow-hidden rounded-lg border border-line bg-raised text-muted group-hover:border-accent">
        <Thumbnail datasetId={datasetId} file={file} />
      </span>
      <span className="truncate group-hover:underline">{file.filename}</span>
      <span className="text-muted">{figure}</span>
    </Link>
  );
}
