import type { DatasetFile, DuplicateGroup } from '../../src/client/client.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import { isInCategory, type Pair } from '../live/pairs.js';
import { countOf } from '../ui/format.js';

/** A picture or clip of a group. */
export interface GroupMember {
  readonly file: DatasetFile;
  readonly pair: Pair;
  /** Compared with the suggested keeper. */
  readonly kind: 'keeper' | DuplicateGroup['members'][number]['kind'];
}

/** Duplicates that are decided together. */
export interface ReviewGroup {
  /** Changes if a file comes or goes. */
  readonly key: string;
  /** Why the first candidate is the suggested keeper. */
  readonly reason: DuplicateGroup['reason'];
  readonly candidates: readonly GroupMember[];
}

/** The groups of the service, with what the page knows of their files. The two answers may differ for a moment. */
export function reviewGroupsOf(
  groups: readonly DuplicateGroup[],
  pairByFile: ReadonlyMap<string, Pair>,
): readonly ReviewGroup[] {
  const found = (filename: string): Omit<GroupMember, 'kind'>[] => {
    const pair = pairByFile.get(filename);
    const file = pair?.media.find((each) => each.filename === filename);
    return pair === undefined || file === undefined ? [] : [{ file, pair }];
  };
  return groups.flatMap(({ keeper, reason, members }) => {
    const [first] = found(keeper);
    const others = members.flatMap(({ filename, kind, size_bytes }) =>
      found(filename).flatMap((each) => (each.file.size_bytes === size_bytes ? { ...each, kind } : [])),
    );
    if (first === undefined || others.length === 0) return [];
    return groupOf(reason, [{ ...first, kind: 'keeper' }, ...others]);
  });
}

/** A new caption can make another picture the keeper; the group is the same. */
function groupOf(reason: ReviewGroup['reason'], candidates: readonly GroupMember[]): ReviewGroup {
  const names = candidates.map(({ file }) => file.filename);
  return { key: names.sort().join('/'), reason, candidates };
}

/** The files that go unless a person decides otherwise. A mirrored picture may be intended. */
export function suggestedRemovals({ candidates }: ReviewGroup): ReadonlySet<string> {
  const going = candidates.filter(({ kind }) => kind === 'exact' || kind === 'alike');
  return new Set(going.map(({ file }) => file.filename));
}

export interface Decision {
  /** Filenames. */
  readonly removed: ReadonlySet<string>;
  /** The stem whose caption is kept, where captions differ. */
  readonly captionOf?: string | undefined;
}

/** What a decision does. */
export interface Plan {
  readonly group: ReviewGroup;
  /** The files that go, with captions that have no picture left. */
  readonly files: readonly DatasetFile[];
  readonly kept: readonly GroupMember[];
  /** The different captions of which the first kept picture has one afterwards; `captionOf` has the chosen one. */
  readonly captions: readonly Pair[];
  readonly captionOf: string | undefined;
  /** Whether structured captions differ; the first kept picture keeps its own. */
  readonly structuredDiffer: boolean;
  readonly moves: readonly CaptionMove[];
}

/** A caption that replaces that of another pair, or is its first. */
export interface CaptionMove {
  readonly from: DatasetFile;
  /** The name that it gets. */
  readonly filename: string;
  readonly replaced: DatasetFile | undefined;
}

/** @returns `undefined` if no picture would be left */
export function planRemoval(group: ReviewGroup, { removed, captionOf }: Decision): Plan | undefined {
  const kept = group.candidates.filter(({ file }) => !removed.has(file.filename));
  const gone = group.candidates.filter(({ file }) => removed.has(file.filename));
  const heir = kept[0]?.pair;
  if (heir === undefined) return undefined;
  const files = gone.flatMap(({ file, pair }) => {
    const isShared = pair.media.some(({ filename }) => !removed.has(filename));
    return [file, ...(isShared ? [] : pair.files.filter(({ kind }) => kind === 'caption'))];
  });
  const captions = differentCaptions([heir, ...gone.map(({ pair }) => pair)]);
  const chosen = captions.find(({ stem }) => stem === captionOf) ?? captions[0];
  const structured = [heir, ...gone.map(({ pair }) => pair)].flatMap((pair) => pair.structured ?? []);
  return {
    group,
    files: [...new Map(files.map((file) => [file.filename, file])).values()],
    kept,
    captions,
    captionOf: chosen?.stem,
    structuredDiffer: new Set(structured.map(({ sha256 }) => sha256)).size > 1,
    moves: [
      ...moveTo(`${heir.stem}.txt`, { from: chosen?.caption, replaced: heir.caption }),
      ...moveTo(`${heir.stem}.json`, { from: structured[0], replaced: heir.structured }),
    ],
  };
}

interface MoveOptions {
  readonly from: DatasetFile | undefined;
  readonly replaced: DatasetFile | undefined;
}

function moveTo(filename: string, { from, replaced }: MoveOptions): CaptionMove[] {
  if (from === undefined || from.sha256 === replaced?.sha256) return [];
  return [{ from, filename: replaced?.filename ?? filename, replaced }];
}

/** The first pair with each text. */
function differentCaptions(pairs: readonly Pair[]): Pair[] {
  const withText = pairs.filter((pair) => pair.caption !== undefined && !isInCategory(pair, 'blank'));
  return [...new Map(withText.toReversed().map((pair) => [pair.caption?.sha256, pair])).values()].toReversed();
}

/** What goes if one of each group of exact copies is kept. Groups whose captions differ are undecided: a person chooses one. */
export function exactCopiesIn(groups: readonly ReviewGroup[]) {
  const plans = groups.flatMap(({ reason, candidates }) => {
    const byBytes = groupedBy(candidates, ({ file }) => file.sha256);
    const copies = [...byBytes.values()].filter(({ length }) => length > 1);
    return copies.flatMap((each) => {
      const removed = new Set(each.slice(1).map(({ file }) => file.filename));
      return planRemoval(groupOf(reason, each), { removed }) ?? [];
    });
  });
  const decided = plans.filter(({ captions, structuredDiffer }) => captions.length < 2 && !structuredDiffer);
  return { plans: decided, undecided: plans.length - decided.length };
}

/** `2 files deleted, 1 caption moved.` */
export function doneText(files: number, moved: number): string {
  return `${countOf(files, 'file')} deleted${moved > 0 ? `, ${countOf(moved, 'caption')} moved` : ''}.`;
}
