import { Link } from 'wouter';
import type { DatasetFile } from '../../../src/client/client.js';
import { CaptionField } from '../../captions/editing/caption-field.js';
import { StructuredCaption } from '../../captions/structured-caption.js';
import type { Pair } from '../../live/pairs.js';
import { useIsShared } from '../../session/client.js';
import { CaptionBadge, unusedCaptionText } from '../caption-badge.js';
import { FileFacts } from './file-facts.js';
import { Pressed } from './pressed.js';

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
      {hasCaptions ? (
        <div className="flex flex-col gap-1">
          <p className="flex items-center text-sm font-medium">
            Caption <CaptionBadge pair={pair} />
          </p>
          <div className="h-32 rounded-md border border-line lg:h-56">
            <CaptionField key={pair.stem} datasetId={datasetId} pair={pair} />
          </div>
        </div>
      ) : (
        caption !== undefined && <p className="text-sm text-muted">{unusedCaptionText(caption)}</p>
      )}
      {hasCaptions && <StructuredCaption key={`${pair.stem} json`} datasetId={datasetId} pair={pair} />}
      {problems.map(({ code, filename, message }) => (
        <p key={`${code} ${filename}`} className="rounded-lg bg-warn-soft p-2 text-sm wrap-anywhere text-warn">
          {message}
        </p>
      ))}
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
