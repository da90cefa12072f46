import { ChevronLeft, ChevronRight, Download, Trash2, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { CaptionField } from '../captions/editing/caption-field.js';
import { useLinks } from '../live/dataset.js';
import type { Pair } from '../live/pairs.js';
import { useIsShared } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Button } from '../ui/button.js';
import { CopyButton } from '../ui/copy.js';
import { Dialog } from '../ui/dialog.js';
import { numberOf, sizeOf } from '../ui/format.js';
import { isTyping } from '../ui/keys.js';
import { formatOf, Placeholder } from './media.js';
import { mediaFactsOf, isShownByBrowsers } from './media-facts.js';
import { CaptionBadge } from './pair-card.js';

interface ViewerProps {
  readonly datasetId: string;
  readonly pairs: readonly Pair[];
  /** The index of the pair that is shown. */
  readonly index: number;
  readonly isSelected: boolean;
  /** Ignores keys, because another dialog is open. */
  readonly isPaused: boolean;
  readonly onMove: (stem: string) => void;
  readonly onSelect: (stem: string) => void;
  readonly onDelete: (pair: Pair) => void;
  readonly onClose: () => void;
}

/** Shows one pair in full size, with buttons for the previous and the next one. */
export function Viewer(props: ViewerProps) {
  const { datasetId, pairs, index, isSelected, isPaused, onMove, onSelect, onDelete, onClose } = props;
  const isShared = useIsShared();
  const pair = pairs[index]!;
  const [chosen, setChosen] = useState<string>();
  const file = pair.media.find(({ filename }) => filename === chosen) ?? pair.media[0] ?? pair.caption;
  const previous = pairs[index - 1]?.stem;
  const next = pairs[index + 1]?.stem;

  useEffect(() => {
    if (isPaused) return;
    const onKeyDown = (event: KeyboardEvent) => {
      if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      const to = event.key === 'ArrowLeft' ? previous : event.key === 'ArrowRight' ? next : undefined;
      if (to !== undefined) onMove(to);
      else if (event.key === 'Delete') onDelete(pair);
      else return;
      event.preventDefault();
    };
    // Captured, because a focused clip would seek with the arrow keys.
    document.addEventListener('keydown', onKeyDown, { capture: true });
    return () => document.removeEventListener('keydown', onKeyDown, { capture: true });
  }, [isPaused, previous, next, pair, onMove, onDelete]);

  if (file === undefined) return null;
  return (
    <Dialog title={file.filename} onClose={onClose} width="max-w-7xl">
      <div className="-mt-2 flex flex-wrap items-center gap-1">
        <Button
          aria-label="Previous"
          disabled={previous === undefined}
          onClick={() => previous !== undefined && onMove(previous)}
        >
          <ChevronLeft size={18} aria-hidden />
        </Button>
        <Button aria-label="Next" disabled={next === undefined} onClick={() => next !== undefined && onMove(next)}>
          <ChevronRight size={18} aria-hidden />
        </Button>
        <span aria-live="polite" className="px-2 text-sm text-muted tabular-nums">
          {numberOf(index + 1)} of {numberOf(pairs.length)}
        </span>
        <span className="ml-auto" />
        {!isShared && (
          <label className="flex min-h-9 cursor-pointer items-center gap-2 px-2 text-sm">
            <input
              type="checkbox"
              checked={isSelected}
              onChange={() => onSelect(pair.stem)}
              className="size-5 cursor-pointer accent-accent"
            />
            Select
          </label>
        )}
        <DownloadLink datasetId={datasetId} file={file} />
        <WriteButton
          kind="quiet"
          aria-label="Delete this pair"
          onClick={() => onDelete(pair)}
          className="hover:text-bad"
        >
          <Trash2 size={18} aria-hidden />
        </WriteButton>
        <Button kind="quiet" aria-label="Close" onClick={onClose}>
          <X size={18} aria-hidden />
        </Button>
      </div>
      <div className="grid gap-4 lg:grid-cols-[1fr_22rem]">
        <div className="flex h-[45dvh] items-center justify-center overflow-hidden rounded-lg bg-raised lg:h-[72dvh]">
          {file.kind === 'caption' ? (
            <Placeholder file={undefined} />
          ) : (
            <Full key={file.sha256} {...{ datasetId, file }} />
          )}
        </div>
        <div className="flex min-w-0 flex-col gap-4">
          {pair.media.length > 1 && (
            <fieldset className="flex flex-wrap gap-1">
              <legend className="mb-1 text-sm text-muted">Files that share this caption</legend>
              {pair.media.map(({ filename }) => (
                <Button key={filename} aria-pressed={filename === file.filename} onClick={() => setChosen(filename)}>
                  <span className="wrap-anywhere">{filename}</span>
                </Button>
              ))}
            </fieldset>
          )}
          <div className="flex flex-col gap-2">
            <p className="flex items-center text-sm font-medium">
              Caption <CaptionBadge pair={pair} />
            </p>
            <div className="h-40">
              <CaptionField key={pair.stem} datasetId={datasetId} pair={pair} />
            </div>
          </div>
          {pair.problems.map(({ code, filename, message }) => (
            <p key={`${code} ${filename}`} className="rounded-lg bg-warn-soft p-2 text-sm wrap-anywhere text-warn">
              {message}
            </p>
          ))}
          <Facts file={file} />
        </div>
      </div>
    </Dialog>
  );
}

function Full({ datasetId, file }: { datasetId: string; file: DatasetFile }) {
  const links = useLinks(datasetId);
  const [isBroken, setBroken] = useState(false);
  // Images that browsers can't display are shown as thumbnails.
  const isDisplayable = isShownByBrowsers(file);
  if (links === undefined) return null;
  if (isBroken || (!isDisplayable && file.kind === 'video')) {
    return (
      <Placeholder file={file}>
        <span>This browser can't display this file. Download it to see it.</span>
      </Placeholder>
    );
  }
  const onError = () => setBroken(true);
  if (file.kind === 'video') {
    return (
      // biome-ignore lint/a11y/useMediaCaption: training clips have no subtitles
      <video src={links.file(file)} controls autoPlay loop playsInline onError={onError} className="size-full" />
    );
  }
  return (
    <img
      src={isDisplayable ? links.file(file) : links.thumbnail(file)}
      alt={file.filename}
      onError={onError}
      className="size-full object-contain"
    />
  );
}

function DownloadLink({ datasetId, file }: { datasetId: string; file: DatasetFile }) {
  const links = useLinks(datasetId);
  return (
    <a
      href={links?.file(file, { download: true })}
      download
      aria-label={`Download ${file.filename}`}
      title={`Download ${file.filename}`}
      className="inline-flex size-9 items-center justify-center rounded-lg hover:bg-raised"
    >
      <Download size={18} aria-hidden />
    </a>
  );
}

function Facts({ file }: { file: DatasetFile }) {
  const rows = {
    Type: formatOf(file) + (file.codec === undefined ? '' : ` (${file.codec})`),
    Dimensions: mediaFactsOf(file),
    Frames: file.frames === undefined ? '' : numberOf(file.frames),
    Audio: file.has_audio === undefined ? '' : file.has_audio ? 'yes' : 'none',
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
