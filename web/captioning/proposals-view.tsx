import { type KeyboardEvent, type ReactNode, useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import type { CaptionProposal, DatasetFile, DatasetWithFiles } from '../../src/client/client.js';
import { Difference } from '../captions/difference/marked-difference.js';
import { useText } from '../captions/editing/texts.js';
import { KEY_TABLE, keyNameOf, useKeys, withKey } from '../keys.js';
import { Full, usePreloaded } from '../pairs/viewer/full.js';
import { KeyHint, NothingToReview, Position, useReviewed } from '../review.js';
import { useCanWrite } from '../session/account.js';
import { WriteButton } from '../session/write-button.js';
import { Button } from '../ui/button.js';
import { countOf, messageOf, numberOf } from '../ui/format.js';
import { Alert } from '../ui/loaded.js';
import { Store, warnBeforeLeaving } from '../ui/store.js';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { MAX_NAMES_PER_REQUEST } from '../../src/api/limits.js';
import { refetchRuns } from '../live/caption-runs.js';
import { newChangeId, signOutIfUnauthorized, useClient, useConnect } from '../session/client.js';
import { recordChange } from '../undo/recent-change.js';

/** Texts of each dataset that are edited and not yet accepted, by caption. They stay on other pages, and for a later proposal. */
const edits = new Store<ReadonlyMap<string, string>>();

warnBeforeLeaving(() => edits.values().length > 0);

/** `undefined` drops the edits of these captions. */
function keepEdit(datasetId: string, captions: readonly string[], text: string | undefined): void {
  const kept = new Map(edits.get(datasetId));
  for (const caption of captions) {
    if (text === undefined) kept.delete(caption);
    else kept.set(caption, text);
  }
  edits.set(kept.size > 0 ? kept : undefined, datasetId);
}

/** The review of what models propose: one picture with its caption and the proposal. The address names the picture. */
export function ProposalsView({ dataset }: { dataset: DatasetWithFiles }) {
  const files = useMemo(() => new Map(dataset.files.map((file) => [file.filename, file])), [dataset.files]);
  const review = useReview(dataset.id, files);
  const { proposals, open, decided, decide } = review;
  const edited = edits.useValue(dataset.id);
  const { index, entry: proposal, show, move } = useReviewed(proposals, 'at', ({ filename }) => [filename]);
  usePreloaded(dataset.id, proposals?.slice(index + 1, index + 3).map(({ filename }) => files.get(filename)) ?? []);
  if (proposals === undefined || proposal === undefined || open.length === 0) {
    return <NoProposal datasetId={dataset.id} review={review} />;
  }
  /** The next one that waits, or else the first. */
  const goOn = () => {
    const next = open.find((each) => proposals.indexOf(each) > index) ?? open.find((each) => each !== proposal);
    if (next !== undefined) show(next);
  };
  const seen = ({ id, caption, base_etag }: CaptionProposal): Accepted & { isOutdated: boolean } => {
    const ifMatch = files.get(caption)?.etag ?? null;
    return { id, ifMatch, isOutdated: ifMatch !== base_etag };
  };
  // What was cut off, is about an earlier caption or is being edited is looked at.
  const isSafe = (each: CaptionProposal) => !each.cut_off && !edited?.has(each.caption);
  const safe = open.filter((each) => isSafe(each) && !seen(each).isOutdated);
  const acceptAll = () => decide(safe.map(({ id, base_etag }) => ({ id, ifMatch: base_etag })));
  const { isOutdated, ...accepted } = seen(proposal);
  return (
    <div className="-m-4 flex grow flex-col">
      <Bar
        {...{ index, count: proposals.length, open: open.length, safe: safe.length }}
        onMove={move}
        onAcceptAll={acceptAll}
      />
      <Review
        key={proposal.id}
        {...{ proposal, isOutdated }}
        datasetId={dataset.id}
        file={files.get(proposal.filename)}
        caption={files.get(proposal.caption)}
        state={decided.get(proposal.id)}
        edited={edited?.get(proposal.caption)}
        onEdit={(text) => keepEdit(dataset.id, [proposal.caption], text)}
        onAccept={() => {
          const text = edited?.get(proposal.caption);
          goOn();
          decide([{ ...accepted, ...(text !== undefined && { text }) }]);
        }}
        onDismiss={() => {
          goOn();
          decide([], [proposal.id]);
        }}
      />
    </div>
  );
}

interface BarProps {
  readonly index: number;
  readonly count: number;
  /** Proposals that wait for a decision, and those of them that may be accepted unseen. */
  readonly open: number;
  readonly safe: number;
  readonly onMove: (step: -1 | 1) => void;
  readonly onAcceptAll: () => void;
}

function Bar({ index, count, open, safe, onMove, onAcceptAll }: BarProps) {
  const canWrite = useCanWrite();
  useKeys({
    reviewNext: () => onMove(1),
    reviewPrevious: () => onMove(-1),
    reviewAcceptAll: canWrite && safe > 0 ? onAcceptAll : undefined,
  });
  const left = open - safe;
  return (
    <div className="sticky top-0 z-20 flex flex-wrap items-center gap-x-3 gap-y-2 border-b border-line bg-page px-4 py-2 sm:top-12">
      <Position
        what="Proposal"
        index={index}
        count={count}
        keys={[KEY_TABLE.reviewPrevious.keys[0], KEY_TABLE.reviewNext.keys[0]]}
        onMove={onMove}
      />
      <span className="text-sm text-muted tabular-nums max-sm:hidden">{countOf(count - open, 'decision')} made</span>
      <span className="grow" />
      {left > 0 && safe > 0 && (
        <span className="text-sm text-muted">{numberOf(left)} cut off, outdated or edited: to be looked at</span>
      )}
      <WriteButton
        disabled={safe === 0}
        title={withKey('Accept all that wait here', 'reviewAcceptAll')}
        onClick={onAcceptAll}
      >
        Accept all {numberOf(safe)} <KeyHint name="reviewAcceptAll" />
      </WriteButton>
    </div>
  );
}

interface ReviewProps {
  readonly datasetId: string;
  readonly proposal: CaptionProposal;
  /** The caption is another than the model was asked about. */
  readonly isOutdated: boolean;
  /** `undefined` once it is deleted. */
  readonly file: DatasetFile | undefined;
  readonly caption: DatasetFile | undefined;
  readonly state: Decided | undefined;
  /** What the person has made of the proposal. */
  readonly edited: string | undefined;
  /** `undefined` gives the proposal back. */
  readonly onEdit: (text: string | undefined) => void;
  /** With the edited text, if there is one. */
  readonly onAccept: () => void;
  readonly onDismiss: () => void;
}

/** One picture, its caption, and what a model proposes in its place. */
function Review({ datasetId, proposal, isOutdated, file, caption, state, edited, ...on }: ReviewProps) {
  const canWrite = useCanWrite();
  const { onEdit, onAccept, onDismiss } = on;
  const { filename, text = '', model, preset, cut_off: isCutOff } = proposal;
  const { state: read } = useText(datasetId, caption);
  const [hasBegun, setHasBegun] = useState(false);
  const edit = () => {
    setHasBegun(true);
    onEdit(text);
  };
  const isEditing = edited !== undefined;
  const isWaiting = canWrite && file !== undefined && isOpen(state);
  useKeys({
    reviewAccept: isWaiting ? onAccept : undefined,
    reviewEdit: isWaiting && !isEditing ? edit : undefined,
    reviewDismiss: isWaiting && !isEditing ? onDismiss : undefined,
  });
  const before = caption === undefined ? '' : read.state === 'read' ? (read.text ?? '') : undefined;
  return (
    <div className="grid grow content-start md:grid-cols-[1fr_minmax(20rem,28rem)] md:content-stretch">
      <div className="h-[32dvh] bg-raised md:sticky md:top-24 md:h-[calc(100dvh-6.5rem)]">
        {file === undefined ? (
          <p className="p-8 text-center text-muted">{filename} is no longer in the dataset.</p>
        ) : (
          <Full key={file.sha256} datasetId={datasetId} file={file} />
        )}
      </div>
      <div className="flex flex-col gap-4 border-line p-4 text-sm md:border-l">
        <div>
          <h3 className="text-base font-semibold wrap-anywhere">{filename}</h3>
          <p className="text-muted">
            by {model}
            {preset !== null && `, ${preset}`}
          </p>
        </div>
        {isWaiting && isOutdated && (
          <Note>The caption was changed since the model was asked. Accepting replaces what stands here.</Note>
        )}
        {isWaiting && isCutOff && <Note>The answer was cut off. Edit it before you accept it.</Note>}
        <Part title="Caption">
          {before === undefined ? (
            'Loading …'
          ) : before === '' ? (
            <i className="text-muted">No caption</i>
          ) : (
            <Difference before={before} after={edited ?? text} only="before" />
          )}
        </Part>
        <Part title="Proposal">
          {isEditing ? (
            <Editor text={edited} isFocused={hasBegun} onChange={onEdit} onSave={onAccept} />
          ) : (
            <Difference before={before ?? ''} after={text} only="after" />
          )}
        </Part>
        <p role="status" className="wrap-anywhere empty:hidden">
          {state !== undefined && state.is !== 'failed' && DECIDED_WORDS[state.is]}
        </p>
        {state?.is === 'failed' && <Alert>{state.reason}</Alert>}
        {isWaiting && (
          <div className="flex flex-wrap gap-2 max-md:sticky max-md:bottom-0 max-md:-mx-4 max-md:border-t max-md:border-line max-md:bg-page max-md:px-4 max-md:py-2">
            {isEditing ? (
              <>
                <Button kind="primary" onClick={onAccept}>
                  Accept my text
                </Button>
                <Button onClick={() => onEdit(undefined)}>Cancel</Button>
              </>
            ) : (
              <>
                <Button kind="primary" onClick={onAccept}>
                  Accept <KeyHint name="reviewAccept" />
                </Button>
                <Button onClick={edit}>
                  Edit <KeyHint name="reviewEdit" />
                </Button>
                <Button onClick={onDismiss}>
                  Dismiss <KeyHint name="reviewDismiss" />
                </Button>
              </>
            )}
          </div>
        )}
      </div>
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title} className="flex flex-col gap-1">
      <h4 className="font-medium text-muted">{title}</h4>
      <div className="text-base whitespace-pre-wrap wrap-anywhere">{children}</div>
    </section>
  );
}

function Note({ children }: { children: ReactNode }) {
  return <p className="rounded-lg bg-warn-soft p-2 text-warn">{children}</p>;
}

interface EditorProps {
  readonly text: string;
  /** Whether it has just been opened, and not come back with its proposal. */
  readonly isFocused: boolean;
  /** `undefined` closes it. */
  readonly onChange: (text: string | undefined) => void;
  readonly onSave: () => void;
}

function Editor({ text, isFocused, onChange, onSave }: EditorProps) {
  const onKeyDown = (event: KeyboardEvent) => {
    const key = event.nativeEvent.isComposing ? undefined : keyNameOf(event.nativeEvent, 'caption');
    if (key === 'saveNext') onSave();
    else if (key === 'giveBack') onChange(undefined);
    else return;
    event.preventDefault();
  };
  return (
    <textarea
      // biome-ignore lint/a11y/noAutofocus: the person has chosen to edit it
      autoFocus={isFocused}
      onFocus={({ target }) => target.setSelectionRange(text.length, text.length)}
      dir="auto"
      aria-label="Proposal"
      rows={6}
      value={text}
      onChange={({ target }) => onChange(target.value)}
      onKeyDown={onKeyDown}
      className="w-full rounded-md border border-line bg-page px-2 py-1 text-base"
    />
  );
}

interface NoProposalProps {
  readonly datasetId: string;
  readonly review: ReturnType<typeof useReview>;
}

function NoProposal({ datasetId, review: { proposals, total, error, refetch, decided } }: NoProposalProps) {
  const retry = () => void refetch();
  const more = proposals === undefined ? 0 : total - proposals.length;
  const left = decided.size > 0 ? `${countOf(decided.size, 'proposal')} decided.` : 'No proposal waits for a decision.';
  return (
    <NothingToReview
      {...{ datasetId, error, failure: 'Could not read the proposals.' }}
      isRead={proposals !== undefined}
      onRetry={retry}
      words={proposals === undefined ? 'Reading the proposals …' : left}
    >
      {more > 0 && <Button onClick={retry}>Show the next {numberOf(more)}</Button>}
    </NothingToReview>
  );
}

const DECIDED_WORDS = { accepted: 'Accepted.', dismissed: 'Dismissed.', saving: 'Saving …' } as const;

type Decided =
  | { readonly is: 'saving' | 'accepted' | 'dismissed' }
  /** It can be decided again. */
  | { readonly is: 'failed'; readonly reason: string };

/** A proposal that is accepted, with the ETag of the caption that the person has seen in its place. */
interface Accepted {
  readonly id: string;
  /** If it was edited. */
  readonly text?: string;
  readonly ifMatch: string | null;
}

/**
 * The open proposals of a dataset as they were when the review began, and what became of them since.
 *
 * @param files by name. A proposal whose picture is deleted does not wait for a decision.
 */
function useReview(datasetId: string, files: ReadonlyMap<string, DatasetFile>) {
  const client = useClient();
  const connect = useConnect();
  const queries = useQueryClient();
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ['review', datasetId],
    queryFn: ({ signal }) => client.captioning.proposals(datasetId, { limit: MAX_NAMES_PER_REQUEST }, { signal }),
    // Another visit begins another review.
    refetchOnMount: 'always',
    gcTime: 0,
  });
  const [decided, setDecided] = useState<ReadonlyMap<string, Decided>>(new Map());
  // All that is accepted in one review is one revision.
  const [changeId] = useState(newChangeId);
  const accepted = useRef(0);
  const announced = useRef(0);
  const saving = useRef(Promise.resolve());
  const mark = (changes: readonly (readonly [string, Decided])[]) =>
    setDecided((known) => new Map([...known, ...changes]));
  const record = ({ isUnfinished }: { isUnfinished: boolean }) => {
    const text = `${countOf(accepted.current, 'proposal')} accepted.`;
    recordChange(datasetId, { text, made: { changeId }, isUnfinished });
  };
  // An undo takes back the whole review, so it is offered at its end: once all are decided, or it is left.
  const open = data?.proposals.filter(({ id, filename }) => files.has(filename) && isOpen(decided.get(id))) ?? [];
  const areAllDecided = data !== undefined && open.length === 0;
  const finish = useEffectEvent(() => {
    saving.current = saving.current.then(() => {
      // What was announced may be undone.
      if (announced.current === accepted.current) return;
      announced.current = accepted.current;
      record({ isUnfinished: false });
    });
  });
  useEffect(() => {
    if (areAllDecided) finish();
  }, [areAllDecided]);
  useEffect(() => () => finish(), []);
  const decide = (accept: readonly Accepted[], dismiss: readonly string[] = []) => {
    const ids = [...accept.map(({ id }) => id), ...dismiss];
    mark(ids.map((id) => [id, { is: 'saving' }]));
    const save = async () => {
      try {
        const reviewing = connect({ how: 'edit', id: changeId }).captioning;
        const answer = await reviewing.decide(datasetId, { accept: [...accept], dismiss: [...dismiss] });
        mark([
          ...dismiss.map((id) => [id, outcomeOf('not_open', undefined)] as const),
          ...answer.dismissed.map((id) => [id, { is: 'dismissed' }] as const),
          ...answer.accepted.map(({ id, outcome, problem }) => [id, outcomeOf(outcome, problem?.message)] as const),
        ]);
        const saved = answer.accepted.flatMap(({ id, outcome }) => (outcome === 'accepted' ? id : []));
        const done = new Set([...answer.dismissed, ...saved]);
        const captions = data?.proposals.flatMap(({ id, caption }) => (done.has(id) ? caption : [])) ?? [];
        keepEdit(datasetId, captions, undefined);
        if (saved.length > 0) {
          accepted.current += saved.length;
          record({ isUnfinished: true });
        }
      } catch (error) {
        mark(ids.map((id) => [id, { is: 'failed', reason: messageOf(error) }]));
        signOutIfUnauthorized(error);
      }
      void refetchRuns(queries, datasetId);
    };
    // In the order of the decisions.
    saving.current = saving.current.then(save);
  };
  return {
    proposals: isFetching && decided.size === 0 ? undefined : data?.proposals,
    total: data?.total ?? 0,
    open,
    error,
    refetch,
    decided,
    decide,
  };
}

const FAILURES = {
  outdated: 'The caption was changed meanwhile. Look at it again.',
  rejected: 'The text is no valid caption.',
  not_open: 'It was decided elsewhere, or another run has replaced it.',
} as const;

function outcomeOf(outcome: 'accepted' | keyof typeof FAILURES, problem: string | undefined): Decided {
  return outcome === 'accepted' ? { is: 'accepted' } : { is: 'failed', reason: problem ?? FAILURES[outcome] };
}

/** Whether a proposal can be decided. */
function isOpen(state: Decided | undefined): boolean {
  return state === undefined || state.is === 'failed';
}
