import { memo, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { FileLink } from '../live/file-link.js';
import { Thumbnail } from '../live/thumbnail.js';
import { Button } from '../ui/button.js';
import { numberOf } from '../ui/format.js';

const SHOWN_AT_FIRST = 24;
const SHOWN_PER_CLICK = 96;

/** The files that a panel judges. */
export interface FilesProps {
  readonly datasetId: string;
  readonly files: readonly DatasetFile[];
}

interface FlaggedImagesProps {
  readonly datasetId: string;
  readonly label: string;
  /** With the text below the filename, such as `12 %` or `640 × 480`. */
  readonly flagged: readonly { readonly file: DatasetFile; readonly detail: string }[];
}

/** Thumbnails of images to check, each a link to its file. Shows the first few; a button shows more. */
export const FlaggedImages = memo(function FlaggedImages({ datasetId, label, flagged }: FlaggedImagesProps) {
  const [shown, setShown] = useState(SHOWN_AT_FIRST);
  const hidden = flagged.length - shown;
  return (
    <div className="flex flex-col items-start gap-3">
      <ul aria-label={label} className="grid w-full grid-cols-[repeat(auto-fill,minmax(6.5rem,1fr))] gap-3">
        {flagged.slice(0, shown).map(({ file, detail }) => (
          <li key={file.filename}>
            <FileLink
              datasetId={datasetId}
              filename={file.filename}
              title={`Show ${file.filename}`}
              className="group flex flex-col gap-1 rounded-lg text-xs"
            >
              <span className="flex aspect-square items-center justify-center overflow-hidden rounded-lg border border-line bg-raised text-muted group-hover:border-accent">
                <Thumbnail datasetId={datasetId} file={file} />
              </span>
              <span className="truncate group-hover:underline">{file.filename}</span>
              <span className="text-muted">{detail}</span>
            </FileLink>
          </li>
        ))}
      </ul>
      {hidden > 0 && (
        <Button onClick={() => setShown(shown + SHOWN_PER_CLICK)}>
          Show {numberOf(Math.min(SHOWN_PER_CLICK, hidden))} more of {numberOf(hidden)}
        </Button>
      )}
    </div>
  );
});
