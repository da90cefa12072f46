import { useEffect, useRef, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { PlainCaption } from '../captions/plain-caption.js';
import { isDialogOpen, useKeys, withKey } from '../keys.js';
import { Preview } from '../pairs/media.js';
import { isShownByBrowsers, mediaFactsOf } from '../pairs/media-facts.js';
import { Full } from '../pairs/viewer/full.js';
import { useCanWrite } from '../session/account.js';
import type { Pair } from '../live/pairs.js';
import { numberOf, sizeOf } from '../ui/format.js';
import type { GroupMember, Decision, Plan, ReviewGroup } from './review-groups.js';

const KIND_WORDS = { exact: 'Exact copy', alike: 'Looks alike', mirrored: 'Mirrored' } as const;

const REASON_WORDS: Record<ReviewGroup['reason'], string> = {
  pixels: 'Suggested: the most pixels',
  bytes: 'Suggested: the largest file',
  caption: 'Suggested: it has a caption',
  age: 'Suggested: here first',
};

const COLUMNS: Readonly<Record<number, string>> = {
  2: 'grid-cols-2',
  3: 'grid-cols-3',
  4: 'grid-cols-2 lg:grid-cols-4',
};

/** The pictures stand beside each other as large as the window allows; more than four in rows, and more than two on a phone. */
function layoutOf([first, ...others]: readonly GroupMember[]): { columns: string; height: string } {
  const count = others.length + 1;
  const { width = 1, height = 1 } = first?.file ?? {};
  const columns = COLUMNS[count] ?? 'grid-cols-[repeat(auto-fill,minmax(16rem,1fr))]';
  const onPhone = width > height ? 'max-sm:h-[40vw]' : 'max-sm:h-[34dvh]';
  return {
    columns: `${columns} max-sm:grid-cols-2`,
    height: `${count > 4 ? 'h-64' : 'h-[max(12rem,calc(100dvh-23rem))]'} ${onPhone}`,
  };
}

interface GroupCardsProps {
  readonly datasetId: string;
  readonly group: ReviewGroup;
  readonly decision: Decision;
  readonly plan: Plan | undefined;
  readonly onToggle: (filename: string) => void;
  readonly onCaption: (stem: string) => void;
}

/** The pictures of a group, each with what is decided about it. */
export function GroupCards({ datasetId, group, decision, plan, onToggle, onCaption }: GroupCardsProps) {
  const { candidates } = group;
  const canWrite = useCanWrite();
  const list = useRef<HTMLUListElement>(null);
  const [focused, setFocused] = useState<string>();
  const focusedAt = candidates.findIndex(({ file }) => file.filename === focused);
  const current = Math.max(focusedAt, 0);
  const focus = (index: number) => list.current?.querySelectorAll<HTMLElement>('input[type=checkbox]')[index]?.focus();
  // The keys of the next group follow at once.
  useEffect(() => {
    if (!isDialogOpen()) {
      list.current?.querySelector<HTMLElement>('input[type=checkbox]')?.focus({ preventScroll: true });
    }
  }, []);
  useKeys({
    duplicateMove: ({ key }) => {
      const next = Math.min(Math.max(current + (key === 'ArrowLeft' ? -1 : 1), 0), candidates.length - 1);
      setFocused(candidates[next]!.file.filename);
      focus(next);
    },
    duplicateKeep: ({ target }) => {
      // The browser does it for the focused box, and presses the focused button.
      if (!canWrite || (target instanceof Element && target.closest('input, button, a, summary'))) return false;
      onToggle(candidates[current]!.file.filename);
    },
    duplicateCaption: () => {
      const same = sameCaption(candidates[current]!, plan);
      return same === undefined ? false : onCaption(same.stem);
    },
  });
  const { columns, height } = layoutOf(candidates);
  return (
    <ul ref={list} aria-label="Pictures of the group" className={`grid gap-3 p-4 max-sm:gap-2 max-sm:p-2 ${columns}`}>
      {candidates.map((candidate, index) => (
        <li
          key={candidate.file.filename}
          onFocus={() => setFocused(candidate.file.filename)}
          className="flex min-w-0 flex-col"
        >
          <Card
            {...{ datasetId, candidate, height }}
            number={index + 1}
            note={candidate.kind === 'keeper' ? REASON_WORDS[group.reason] : KIND_WORDS[candidate.kind]}
            isKept={!decision.removed.has(candidate.file.filename)}
            plan={plan}
            onToggle={() => onToggle(candidate.file.filename)}
            onCaption={onCaption}
          />
        </li>
      ))}
    </ul>
  );
}

/** The pair that stands for the caption of a picture in a plan. */
function sameCaption({ pair }: GroupMember, plan: Plan | undefined): Pair | undefined {
  return plan?.captions.find(({ caption }) => caption?.sha256 === pair.caption?.sha256);
}

interface CardProps {
  readonly datasetId: string;
  readonly candidate: GroupMember;
  readonly number: number;
  readonly note: string;
  readonly height: string;
  readonly isKept: boolean;
  readonly plan: Plan | undefined;
  readonly onToggle: () => void;
  readonly onCaption: (stem: string) => void;
}

function Card(props: CardProps) {
  const { datasetId, candidate, number, note, height, isKept, plan, onToggle, onCaption } = props;
  const { file, kind } = candidate;
  // One of several captions of which one is kept.
  const choice = plan !== undefined && plan.captions.length > 1 ? sameCaption(candidate, plan) : undefined;
  const canWrite = useCanWrite();
  const isGoing = canWrite && !isKept;
  const picture = (
    <span className={`relative block overflow-hidden bg-raised ${canWrite ? '' : 'rounded-t-lg'} ${height}`}>
      <span className={`absolute inset-0 block ${isGoing ? 'opacity-40' : ''}`}>
        <Picture datasetId={datasetId} file={file} />
      </span>
      <span className="absolute top-2 left-2 rounded-full bg-panel px-2 text-sm font-semibold tabular-nums">
        {numberOf(number)}
      </span>
    </span>
  );
  const noteColours = kind === 'mirrored' ? 'rounded-full bg-warn-soft px-2 text-warn' : 'text-muted';
  return (
    <article
      aria-label={file.filename}
      className={`flex grow flex-col rounded-xl border-2 bg-panel outline-offset-2 outline-accent has-[input[type=checkbox]:focus-visible]:outline-3 ${isGoing ? 'border-bad' : canWrite ? 'border-good' : 'border-line'}`}
    >
      {canWrite ? (
        <label className="flex cursor-pointer flex-col" title={withKey('Keep or remove', 'duplicateKeep')}>
          {/* Above the picture: a message covers the lower corner of the window for some seconds. */}
          <span className={`flex touch items-center gap-2 px-3 py-1 font-medium ${isGoing ? 'text-bad' : 'text-good'}`}>
            <input
              type="checkbox"
              checked={isKept}
              aria-label={`Keep ${file.filename}`}
              onChange={onToggle}
              className="size-5 shrink-0 cursor-pointer accent-accent outline-none!"
            />
            {isKept ? 'Keep' : 'Remove'}
          </span>
          {picture}
        </label>
      ) : (
        picture
      )}
      <div className="flex flex-col gap-1 px-3 pt-1 pb-3 text-sm">
        <p className="truncate font-medium" title={file.filename}>
          {file.filename}
        </p>
        <p>
          <span className={noteColours}>{note}</span>
        </p>
        <p className="text-muted tabular-nums">
          {[mediaFactsOf(file), sizeOf(file.size_bytes)].filter(Boolean).join(' · ')}
        </p>
        <PlainCaption
          datasetId={datasetId}
          caption={candidate.pair.caption}
          className="line-clamp-4 whitespace-pre-line"
        />
        {canWrite && choice !== undefined && (
          <label
            className="flex min-h-6 touch cursor-pointer items-center gap-2"
            title={withKey('Keep this caption', 'duplicateCaption')}
          >
            <input
              type="radio"
              name="caption"
              checked={choice.stem === plan?.captionOf}
              onChange={() => onCaption(choice.stem)}
              className="size-4 cursor-pointer accent-accent"
            />
            Keep this caption<span className="sr-only"> of {file.filename}</span>
          </label>
        )}
      </div>
    </article>
  );
}

/** Until a picture is loaded, its thumbnail is in its place. */
function Picture({ datasetId, file }: { datasetId: string; file: DatasetFile }) {
  return (
    <>
      {file.kind === 'image' && isShownByBrowsers(file) && (
        <span className="absolute inset-0">
          <Preview datasetId={datasetId} file={file} isPlaying={false} />
        </span>
      )}
      <span className="absolute inset-0">
        <Full datasetId={datasetId} file={file} isCompared />
      </span>
    </>
  );
}
