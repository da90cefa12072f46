import { ChevronLeft, ChevronRight, Crop, GalleryHorizontalEnd, Info, Trash2 } from 'lucide-react';
import { useLayoutEffect, useRef, useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import type { BucketRules } from '../../../src/dataset/buckets.js';
import { useCaptionLoop } from '../../captions/editing/caption-loop.js';
import { KEY_TABLE, useKeys, withKey } from '../../keys.js';
import { counterpartsOf, type LinkedDataset } from '../../live/counterparts.js';
import type { Pair } from '../../live/pairs.js';
import { slotWord } from '../../live/slot-words.js';
import { useIsShared } from '../../session/client.js';
import { WriteButton } from '../../session/write-button.js';
import { Button } from '../../ui/button.js';
import { numberOf } from '../../ui/format.js';
import { useMedia, useStored } from '../../ui/use-stored.js';
import { isTrainable } from '../media-facts.js';
import { Placeholder } from '../media.js';
import {
  Comparison,
  ComparisonBar,
  type ComparisonChoice,
  SLOT_KEYS,
  TARGET_ALONE,
  withNextView,
} from './comparison.js';
import { CropBar, CropFrame } from './crop-frame.js';
import { DownloadLink, ViewerSide } from './viewer-side.js';
import { Full, usePreloaded } from './full.js';
import { Pressed } from './pressed.js';
import { WholeWindow } from './whole-window.js';
import { pictureSizeOf, useZooming, ZoomButtons, ZoomStage } from './zoom-stage.js';
import { useVirtualizer } from '@tanstack/react-virtual';
import { Thumbnail } from '../../live/thumbnail.js';

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
  /** The file of the pair that is shown; by default, the first. */
  readonly filename: string | undefined;
  readonly isSelected: boolean;
  readonly onMove: (stem: string) => void;
  readonly onChooseFile: (filename: string) => void;
  readonly onSelect: (stem: string) => void;
  readonly onDelete: (pair: Pair) => void;
  readonly onClose: () => void;
}

/** Shows one pair in the whole window, alone or compared with a control or its mask, and moves to the previous and next one. */
export function Viewer(props: ViewerProps) {
  const { datasetId, hasCaptions, linked, choice, onChoose, pairs, index, filename, onMove, onClose } = props;
  const pair = pairs[index]!;
  const file = fileOf(pair, filename);
  const toggles = useToggles();
  const zooming = useZooming();
  const [rules, setRules] = useState<BucketRules>({ resolution: 1024, step: 16 });
  const step = (by: number) => {
    const to = pairs[index + by]?.stem;
    if (to !== undefined) onMove(to);
  };
  usePreloaded(datasetId, [fileOf(pairs[index + 1]), fileOf(pairs[index - 1])]);
  useViewerKeys({ ...props, pair, step, toggles, toggleZoom: zooming.toggle });
  if (file === undefined) return null;
  const counterparts = file.kind === 'caption' ? [] : counterpartsOf(linked, pair);
  const counterpart = counterparts.find(({ slot }) => slot === choice.slot);
  const isCropped = toggles.crop.isOn && counterpart === undefined && isTrainable(file);
  const picture = pictureSizeOf(file);
  return (
    <WholeWindow
      title={file.filename}
      keyPlace="viewer"
      datasetId={datasetId}
      onClose={onClose}
      beside={
        <span aria-live="polite" className="shrink-0 text-sm text-muted tabular-nums">
          {numberOf(index + 1)} of {numberOf(pairs.length)}
        </span>
      }
      tools={
        <>
          <ZoomButtons zooming={zooming} />
          <ToggleButtons {...toggles} />
          <PairTools {...props} pair={pair} file={file} />
        </>
      }
    >
      {counterparts.length > 0 && <ComparisonBar {...{ counterparts, choice, onChoose }} />}
      <div className="flex min-h-0 grow flex-col lg:flex-row">
        <div className="relative flex min-h-0 min-w-0 grow flex-col">
          <div className="min-h-0 grow">
            {file.kind === 'caption' ? (
              <Placeholder file={undefined} />
            ) : counterpart === undefined ? (
              <ZoomStage zooming={zooming} picture={picture} isStill={file.kind === 'video'} onSwipe={step}>
                <Full key={file.sha256} {...{ datasetId, file }} />
                {isCropped && picture !== undefined && <CropFrame {...{ picture, rules }} />}
              </ZoomStage>
            ) : (
              <Comparison
                {...{ datasetId, file, counterpart, choice, onChoose, zooming }}
                word={slotWord(
                  counterpart.slot,
                  linked.map(({ slot }) => slot),
                )}
                onSwipe={step}
              />
            )}
          </div>
          <StepButton label="Previous" isEnd={index === 0} onClick={() => step(-1)} />
          <StepButton label="Next" isEnd={index === pairs.length - 1} onClick={() => step(1)} />
          {isCropped && picture !== undefined && <CropBar {...{ picture, rules }} onRules={setRules} />}
        </div>
        <ViewerSide {...props} {...{ pair, file, hasCaptions }} areFactsShown={toggles.facts.isOn} />
      </div>
      {toggles.filmstrip.isOn && <Filmstrip {...{ datasetId, pairs, index, onMove }} />}
    </WholeWindow>
  );
}

function fileOf(pair: Pair | undefined, filename?: string): DatasetFile | undefined {
  return pair?.media.find((file) => file.filename === filename) ?? pair?.media[0] ?? pair?.files[0];
}

/** A part of the viewer that is shown or not, as this browser keeps it. */
function useToggle(name: string, isOnAtFirst: boolean) {
  const [state, setState] = useStored(`trainyard-viewer-${name}`, ['on', 'off'], isOnAtFirst ? 'on' : 'off');
  return { isOn: state === 'on', toggle: () => setState(state === 'on' ? 'off' : 'on') };
}

function useToggles() {
  const isLarge = useMedia('(min-width: 64rem)');
  return {
    crop: useToggle('crop', false),
    filmstrip: useToggle('filmstrip', isLarge),
    facts: useToggle('facts', isLarge),
  };
}

type Toggles = ReturnType<typeof useToggles>;

function ToggleButtons({ crop, filmstrip, facts }: Toggles) {
  const rows = [
    { ...crop, Icon: Crop, label: 'Crop frame', key: 'viewerCrop' },
    { ...filmstrip, Icon: GalleryHorizontalEnd, label: 'Filmstrip', key: 'viewerFilmstrip' },
    { ...facts, Icon: Info, label: 'Facts', key: 'viewerFacts' },
  ] as const;
  return rows.map(({ isOn, toggle, Icon, label, key }) => (
    <Pressed key={key} label={label} isOn={isOn} title={withKey(label, key)} onClick={toggle}>
      <Icon size={18} aria-hidden />
    </Pressed>
  ));
}

interface PairToolsProps extends Pick<ViewerProps, 'datasetId' | 'isSelected' | 'onSelect' | 'onDelete'> {
  readonly pair: Pair;
  readonly file: DatasetFile;
}

function PairTools({ datasetId, pair, file, isSelected, onSelect, onDelete }: PairToolsProps) {
  const isShared = useIsShared();
  return (
    <>
      {!isShared && (
        <label className="flex min-h-9 min-w-9 touch cursor-pointer items-center justify-center gap-2 px-2 text-sm">
          <input
            type="checkbox"
            checked={isSelected}
            onChange={() => onSelect(pair.stem)}
            className="size-5 cursor-pointer accent-accent"
          />
          <span className="max-xl:sr-only">Select</span>
        </label>
      )}
      <DownloadLink datasetId={datasetId} file={file} />
      <WriteButton
        icon={Trash2}
        kind="quiet"
        aria-label="Delete this pair"
        title={withKey('Delete this pair', 'viewerRemove')}
        onClick={() => onDelete(pair)}
        className="hover:text-bad"
      />
    </>
  );
}

function StepButton({ label, isEnd, onClick }: { label: 'Previous' | 'Next'; isEnd: boolean; onClick: () => void }) {
  const [Icon, side] = label === 'Next' ? [ChevronRight, 'right-2'] : [ChevronLeft, 'left-2'];
  return (
    <Button
      aria-label={label}
      disabled={isEnd}
      onClick={onClick}
      className={`absolute top-1/2 ${side} -translate-y-1/2 px-2!`}
    >
      <Icon size={20} aria-hidden />
    </Button>
  );
}

interface ViewerKeys extends Pick<ViewerProps, 'linked' | 'choice' | 'onChoose' | 'onDelete' | 'hasCaptions'> {
  readonly pair: Pair;
  readonly step: (by: 1 | -1) => void;
  readonly toggles: Toggles;
  readonly toggleZoom: () => void;
}

/** Browsers stop changing the address after 100 changes in 10 s (WebKit), which a key that is held would make. */
const HELD_KEY_MS = 110;

function useViewerKeys(keys: ViewerKeys): void {
  const { linked, choice, onChoose, onDelete, hasCaptions, pair, step, toggles, toggleZoom } = keys;
  const loop = useCaptionLoop();
  const movedAt = useRef(0);
  const slots = linked.map(({ slot }) => slot);
  const compareWith = (key: string) => {
    const slot = slots.find((each) => SLOT_KEYS[each] === key);
    if (slot === undefined) return false;
    onChoose({ ...choice, slot: slot === 'mask' && choice.slot === 'mask' ? undefined : slot });
  };
  useKeys({
    viewerMove: ({ key, repeat, timeStamp }) => {
      if (repeat && timeStamp - movedAt.current < HELD_KEY_MS) return;
      movedAt.current = timeStamp;
      step(key === 'ArrowLeft' ? -1 : 1);
    },
    viewerWrite: () => hasCaptions && loop?.write(pair.stem),
    viewerZoom: toggleZoom,
    viewerCrop: toggles.crop.toggle,
    viewerFilmstrip: toggles.filmstrip.toggle,
    viewerFacts: toggles.facts.toggle,
    viewerMask: () => compareWith(KEY_TABLE.viewerMask.keys[0]),
    viewerTarget: () => slots.length > 0 && onChoose({ ...choice, slot: TARGET_ALONE.slot }),
    viewerCompare: ({ key }) => compareWith(key),
    viewerHow: () => slots.length > 0 && onChoose(withNextView(choice, slots)),
    viewerRemove: () => onDelete(pair),
  });
}

/** The width of a picture, with the gap after it. */
const WIDTH = 72;

interface FilmstripProps {
  readonly datasetId: string;
  readonly pairs: readonly Pair[];
  readonly index: number;
  readonly onMove: (stem: string) => void;
}

/** The pairs before and after the one that is shown, in a line that scrolls. Renders only those in view. */
function Filmstrip({ datasetId, pairs, index, onMove }: FilmstripProps) {
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    horizontal: true,
    count: pairs.length,
    getScrollElement: () => frame.current,
    estimateSize: () => WIDTH,
    overscan: 4,
  });
  useLayoutEffect(() => virtual.scrollToIndex(index, { align: 'center' }), [virtual, index]);
  return (
    <div ref={frame} className="h-20 shrink-0 overflow-x-auto overflow-y-hidden border-t border-line bg-panel">
      <ul aria-label="Filmstrip" className="relative mx-auto h-full" style={{ width: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index: at, start }) => {
          const { stem, media, files } = pairs[at]!;
          const [file] = media;
          const name = (file ?? files[0])?.filename ?? stem;
          return (
            <li key={stem} className="absolute inset-y-1" style={{ left: start, width: WIDTH }}>
              <button
                type="button"
                aria-label={`Show ${name}`}
                aria-current={at === index ? 'true' : undefined}
                title={name}
                tabIndex={at === index ? 0 : -1}
                onClick={() => onMove(stem)}
                className="flex h-full w-[calc(100%-4px)] cursor-pointer items-center justify-center overflow-hidden rounded-md bg-raised -outline-offset-2 text-muted aria-current:ring-2 aria-current:ring-accent aria-current:ring-inset"
              >
                <Thumbnail datasetId={datasetId} file={file} className="p-0.5" />
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
