import { Download } from 'lucide-react';
import { Link } from 'wouter';
import type { DatasetFile } from '../../../src/client/client.js';
import { useLinks } from '../../live/dataset.js';
import type { Pair } from '../../live/pairs.js';
import { PairWords } from '../pair-words.js';
import { mediaFactsOf, soundOf } from '../media-facts.js';
import { formatOf } from '../media.js';
import { Pressed } from './pressed.js';
import { useIsShared } from '../../session/client.js';
import { dateOf, momentOf } from '../../ui/ago.js';
import { CopyButton } from '../../ui/copy.js';
import { numberOf, sizeOf } from '../../ui/format.js';

interface ViewerSideProps {
  readonly datasetId: string;
  readonly pair: Pair;
  /** The file that is shown. */
  readonly file: DatasetFile;
  readonly hasCaptions: boolean;
  readonly areFactsShown: boolean;
  readonly onChooseFile: (filename: string) => void;
}

/** Beside the picture: its caption, its problems and its facts. Nothing where there is nothing to say. */
export function ViewerSide({ datasetId, pair, file, hasCaptions, areFactsShown, onChooseFile }: ViewerSideProps) {
  const isShared = useIsShared();
  const { media, caption, problems } = pair;
  if (!hasCaptions && !areFactsShown && media.length < 2 && caption === undefined && problems.length === 0) return null;
  return (
    <section
      aria-label="The pair"
      className="flex shrink-0 flex-col gap-4 overflow-y-auto overscroll-contain border-line bg-panel p-4 max-lg:max-h-[38%] max-lg:border-t lg:w-85 lg:border-l"
    >
      {media.length > 1 && (
        <fieldset className="flex flex-wrap gap-1">
          <legend className="mb-1 text-sm text-muted">Files that share this caption</legend>
          {media.map(({ filename }) => (
            <Pressed key={filename} isOn={filename === file.filename} onClick={() => onChooseFile(filename)}>
              <span className="wrap-anywhere">{filename}</span>
            </Pressed>
          ))}
        </fieldset>
      )}
      <PairWords {...{ datasetId, pair, hasCaptions }} height="h-32 lg:h-56" />
      {areFactsShown && (
        <>
          <FileFacts file={file} />
          {!isShared && (
            <p className="text-sm">
              <Link href={`/datasets/${datasetId}/history`} className="text-link">
                History of the dataset
              </Link>
            </p>
          )}
        </>
      )}
    </section>
  );
}

export function DownloadLink({ datasetId, file }: { datasetId: string; file: DatasetFile }) {
  const links = useLinks(datasetId);
  return (
    <a
      href={links?.file(file, { download: true })}
      download
      aria-label={`Download ${file.filename}`}
      title={`Download ${file.filename}`}
      className="inline-flex size-9 touch items-center justify-center rounded-lg hover:bg-raised"
    >
      <Download size={18} aria-hidden />
    </a>
  );
}

export function FileFacts({ file }: { file: DatasetFile }) {
  const rows = {
    Type: formatOf(file) + (file.codec === undefined ? '' : ` (${file.codec})`),
    Dimensions: mediaFactsOf(file),
    Frames: file.frames === undefined ? '' : numberOf(file.frames),
    Sound: soundOf(file),
    Size: sizeOf(file.size_bytes),
    Uploaded: momentOf(dateOf(file.uploaded_at)),
  };
  return (
    <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-1 text-sm">
      {Object.entries(rows).map(
        ([name, value]) =>
          value !== '' && (
            <div key={name} className="contents">
              <dt className="text-muted">{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
      <dt className="text-muted">SHA-256</dt>
      <dd className="flex items-center font-mono" title={file.sha256}>
        {file.sha256.slice(0, 12)}… <CopyButton text={file.sha256} what="the SHA-256" />
      </dd>
    </dl>
  );
}
