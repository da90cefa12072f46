import { ChevronLeft, ChevronRight, Trash2, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import { CaptionField } from '../../captions/editing/caption-field.js';
import { counterpartsOf, type LinkedDataset } from '../../live/counterparts.js';
import type { Pair } from '../../live/pairs.js';
import { slotWord } from '../../live/slot-words.js';
import { useIsShared } from '../../session/client.js';
import { WriteButton } from '../../session/write-button.js';
import { Button } from '../../ui/button.js';
import { Dialog } from '../../ui/dialog.js';
import { numberOf } from '../../ui/format.js';
import { isTyping } from '../../ui/keys.js';
import { Placeholder } from '../media.js';
import { CaptionBadge, unusedCaptionText } from '../caption-badge.js';
import { Comparison } from './comparison.js';
import { ComparisonBar } from './comparison-bar.js';
import { type ComparisonChoice, choiceAfterKey } from './comparison-choice.js';
import { DownloadLink, FileFacts } from './file-facts.js';
import { Full } from './full.js';

interface ViewerProps {
  readonly datasetId: string;
  /** Whether the trainer reads captions of this dataset. */
  readonly hasCaptions: boolean;
  readonly linked: readonly LinkedDataset[];
  readonly choice: ComparisonChoice;
  readonly onChoose: (choice: ComparisonChoice) => void;
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

/** Shows one pair in full size, alone or compared with a control or its mask, with buttons for the previous and the next one. */
export function Viewer(props: ViewerProps) {
  const {
    datasetId,
    hasCaptions,
    linked,
    choice,
    onChoose,
    pairs,
    index,
    isSelected,
    isPaused,
    onMove,
    onSelect,
    onDelete,
    onClose,
  } = props;
  const isShared = useIsShared();
  const pair = pairs[index]!;
  const [chosen, setChosen] = useState<string>();
  const file = pair.media.find(({ filename }) => filename === chosen) ?? pair.media[0] ?? pair.caption;
  const previous = pairs[index - 1]?.stem;
  const next = pairs[index + 1]?.stem;

  const slots = linked.map(({ slot }) => slot);
  const counterparts = counterpartsOf(linked, pair);
  const counterpart = counterparts.find(({ slot }) => slot === choice.slot);

  useEffect(() => {
    if (isPaused) return;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const isMoving = isSlider(event.target) && event.key.length > 1;
      if (isMoving || (isTyping(event.target) && !isSlider(event.target))) return;
      const compared = choiceAfterKey(event.key, choice, slots);
      const to = event.key === 'ArrowLeft' ? previous : event.key === 'ArrowRight' ? next : undefined;
      if (to !== undefined) onMove(to);
      else if (compared !== undefined) onChoose(compared);
      else if (event.key === 'Delete') onDelete(pair);
      else return;
      event.preventDefault();
    };
    // Captured, because a focused clip would seek with the arrow keys.
    document.addEventListener('keydown', onKeyDown, { capture: true });
    return () => document.removeEventListener('keydown', onKeyDown, { capture: true });
  });

  if (file === undefined) return null;
  return (
    <Dialog title={file.filename} onClose={onClose} width="max-w-7xl">
      <div className="sticky top-0 z-10 -mx-4 -my-2 flex flex-wrap items-center gap-1 bg-panel px-4 py-2 max-sm:gap-0.5 sm:-mx-6 sm:px-6 max-sm:[&_a]:px-2 max-sm:[&_button]:px-2">
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
        <div className="ml-auto flex items-center gap-1 max-sm:gap-0.5">
          {!isShared && (
            <label className="flex min-h-9 touch cursor-pointer items-center gap-2 px-2 text-sm">
              <input
                type="checkbox"
                checked={isSelected}
                onChange={() => onSelect(pair.stem)}
                className="size-5 cursor-pointer accent-accent"
              />
              <span className="max-sm:sr-only">Select</span>
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
      </div>
      {counterparts.length > 0 && file.kind !== 'caption' && <ComparisonBar {...{ counterparts, choice, onChoose }} />}
      <div className="grid gap-4 lg:grid-cols-[1fr_22rem]">
        <div className="flex h-[45dvh] items-center justify-center overflow-hidden rounded-lg bg-raised lg:h-[72dvh]">
          {file.kind === 'caption' ? (
            <Placeholder file={undefined} />
          ) : counterpart === undefined ? (
            <Full key={file.sha256} {...{ datasetId, file }} />
          ) : (
            <Comparison
              {...{ datasetId, file, counterpart, choice, onChoose }}
              word={slotWord(counterpart.slot, slots)}
            />
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
          {hasCaptions ? (
            <div className="flex flex-col gap-2">
              <p className="flex items-center text-sm font-medium">
                Caption <CaptionBadge pair={pair} />
              </p>
              <div className="h-40">
                <CaptionField key={pair.stem} datasetId={datasetId} pair={pair} />
              </div>
            </div>
          ) : (
            pair.caption !== undefined && <p className="text-sm text-muted">{unusedCaptionText(pair.caption)}</p>
          )}
          {pair.problems.map(({ code, filename, message }) => (
            <p key={`${code} ${filename}`} className="rounded-lg bg-warn-soft p-2 text-sm wrap-anywhere text-warn">
              {message}
            </p>
          ))}
          <FileFacts file={file} />
        </div>
      </div>
    </Dialog>
  );
}

function isSlider(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement && target.type === 'range';
}
