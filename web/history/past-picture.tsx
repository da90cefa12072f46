import { FileText } from 'lucide-react';
import type { DatasetFile } from '../../src/client/client.js';
import { Thumbnail } from '../live/thumbnail.js';

const MARKS = {
  added: { word: 'Added', style: 'border-good' },
  after: { word: 'Now', style: 'border-good' },
  before: { word: 'Before', style: 'border-bad' },
  removed: { word: 'Removed', style: 'border-bad' },
} as const;

interface PastPictureProps {
  readonly datasetId: string;
  /** `undefined` if there is none. */
  readonly file: Pick<DatasetFile, 'filename' | 'sha256' | 'kind' | 'duration_seconds' | 'thumbhash'> | undefined;
  /** The revision that has the file, if the dataset may not have it any more. */
  readonly revision?: number;
  readonly mark?: keyof typeof MARKS;
}

/** A small picture of a file of a revision, with its name. */
export function PastPicture({ datasetId, file, revision, mark }: PastPictureProps) {
  const { word, style } = mark === undefined ? { word: undefined, style: 'border-line' } : MARKS[mark];
  return (
    <figure className="flex w-28 flex-col gap-1 text-xs">
      <span
        className={`relative flex aspect-square items-center justify-center overflow-hidden rounded-lg border-2 bg-raised text-muted ${style}`}
      >
        <RevisionPicture datasetId={datasetId} file={file} revision={revision} />
      </span>
      <figcaption className="truncate text-muted" title={file?.filename}>
        {word !== undefined && (
          <strong className={mark === 'added' || mark === 'after' ? 'text-good' : 'text-bad'}>{word}</strong>
        )}{' '}
        {file?.filename ?? 'No picture'}
      </figcaption>
    </figure>
  );
}

/** The picture of a file of a revision, which fills the element around it; a sign for a clip, and where there is none. */
export function RevisionPicture({
  datasetId,
  file,
  revision,
}: Pick<PastPictureProps, 'datasetId' | 'file'> & { revision: number | undefined }) {
  if (file === undefined) return <FileText size={20} aria-hidden />;
  return (
    <Thumbnail
      key={file.sha256}
      datasetId={datasetId}
      file={{ ...file, ...(revision !== undefined && { revision }) }}
      className="absolute inset-0"
    />
  );
}
