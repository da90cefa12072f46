import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import type { LinkSlot } from '../../src/dataset/dataset.js';
import { stemOf } from '../../src/dataset/media.js';
import { useDataset } from '../live/dataset.js';
import type { LinkedDataset } from '../live/counterparts.js';
import { useLinkedDatasets } from '../live/linked.js';
import { type Pair, pairsOf, rejectedUploadsOf } from '../live/pairs.js';
import { useCanWrite } from '../session/account.js';
import { useConnect, useIsShared } from '../session/client.js';
import { Button } from '../ui/button.js';
import { countOf, messageOf } from '../ui/format.js';
import { isDialogOpen, isTyping } from '../ui/keys.js';
import { useIsSendingTo } from '../upload/queue/page-queue.js';
import { FilterBar } from './filter-bar.js';
import type { ModifierKeys } from './pair-card.js';
import {
  isInView,
  nameMatcher,
  type PairFilter,
  pairFilterOf,
  pairFilterParameters,
  viewCounts,
  viewsOf,
} from './pair-filter.js';
import { PairGrid, type PairGridHandle } from './pair-grid.js';
import { RejectedUploads } from './rejected-uploads.js';
import { DeletePairsDialog } from './selection/delete-pairs-dialog.js';
import { deleteFiles, dismissFailures, retryDeletion, useDeletion } from './selection/deletion.js';
import { allOf, extended, EMPTY_SELECTION, toggled, withoutDeleted } from './selection/selection.js';
import { SelectionBar } from './selection/selection-bar.js';
import { TARGET_ALONE } from './viewer/comparison-choice.js';
import { Viewer } from './viewer/viewer.js';

/** All pairs of a dataset, and its rejected uploads. */
export function PairsView({ dataset }: { dataset: DatasetWithFiles }) {
  const [parameters, setParameters] = useSearchParams();
  const filter = useMemo(() => pairFilterOf(parameters), [parameters]);
  const setFilter = (next: PairFilter) => setParameters(pairFilterParameters(next), { replace: true });
  const pairs = useMemo(() => pairsOf(dataset), [dataset]);
  const allRejected = useMemo(() => rejectedUploadsOf(dataset), [dataset]);
  const uploads = useMemo(() => {
    const matches = nameMatcher(filter.search);
    return allRejected.filter(({ filename }) => matches([filename]));
  }, [allRejected, filter.search]);
  const { linked, error, retry } = useLinkedDatasets(dataset);
  const views = viewsOf(dataset);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the views follow from the role and the links
  const counts = useMemo(() => viewCounts(pairs, views, linked), [pairs, linked, views.join()]);
  const rejected = Math.max(allRejected.length, dataset.counts.rejected - (dataset.damaged?.length ?? 0));
  if (pairs.length === 0 && rejected === 0) return <NoFiles dataset={dataset} />;
  return (
    <>
      <FilterBar filter={filter} counts={new Map([...counts, ['rejected', rejected]])} onChange={setFilter} />
      {error !== null && (
        <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
          Could not read the controls and masks. {messageOf(error)} <Button onClick={retry}>Try again</Button>
        </div>
      )}
      {filter.view === 'rejected' ? (
        <RejectedUploads dataset={dataset} uploads={uploads} />
      ) : (
        <Pairs dataset={dataset} linked={linked} pairs={pairs} filter={filter} onFilter={setFilter} />
      )}
    </>
  );
}

interface PairsProps {
  readonly dataset: DatasetWithFiles;
  readonly linked: readonly LinkedDataset[];
  readonly pairs: readonly Pair[];
  readonly filter: PairFilter;
  readonly onFilter: (filter: PairFilter) => void;
}

function Pairs({ dataset, linked, pairs, filter, onFilter }: PairsProps) {
  const { id } = dataset;
  const connect = useConnect();
  const canWrite = useCanWrite();
  const isShared = useIsShared();
  const { refetch } = useDataset(id);
  const deletion = useDeletion(id);
  const grid = useRef<PairGridHandle>(null);
  // Typing stays responsive; the cards follow.
  const { view, search } = useDeferredValue(filter);
  const shown = useMemo(() => {
    const matches = nameMatcher(search);
    return pairs.filter((pair) => isInView(pair, view, linked) && matches(pair.files.map(({ filename }) => filename)));
  }, [pairs, linked, view, search]);
  const [current, setCurrent] = useState<string>();
  const [selection, setSelection] = useState(EMPTY_SELECTION);
  const existing = useMemo(() => withoutDeleted(selection, pairs), [selection, pairs]);
  if (existing !== selection) setSelection(existing);
  // Actions apply to the selected pairs that are shown.
  const selected = useMemo(() => shown.filter(({ stem }) => existing.stems.has(stem)), [shown, existing]);
  const [toDelete, setToDelete] = useState<readonly Pair[]>();
  const viewer = useViewerState(shown);
  const hasCaptions = dataset.role === 'training';

  const target = filter.file === undefined ? undefined : stemOf(filter.file.normalize('NFC'));
  const isTargetShown = shown.some(({ stem }) => stem === target);
  const onSelect = useCallback(
    (stem: string, { shiftKey }: ModifierKeys) =>
      // The selection is there to delete files.
      isShared || setSelection((known) => (shiftKey ? extended(known, stem, shown) : toggled(known, stem))),
    [shown, isShared],
  );
  const confirmDeletion = (of: readonly Pair[]) => {
    const remaining = of.filter(({ stem }) => !(deletion.isRunning && deletion.stems.has(stem)));
    if (canWrite && remaining.length > 0) setToDelete(remaining);
  };
  const deleting = { connect, datasetId: id, refetch };

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (isTyping(event.target) || isDialogOpen() || event.defaultPrevented) return;
      if (event.key === 'a' && (event.ctrlKey || event.metaKey) && !isShared) setSelection(allOf(shown));
      else if (event.key === 'Escape') setSelection(EMPTY_SELECTION);
      else if (event.key === 'Delete')
        confirmDeletion(selected.length > 0 ? selected : shown.filter(({ stem }) => stem === current));
      else return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  });

  return (
    <>
      <SelectionBar
        datasetId={id}
        shown={shown.length}
        selected={selected.length}
        dataset={dataset}
        deletion={deletion}
        onSelectAll={() => setSelection(allOf(shown))}
        onSelectNone={() => setSelection(EMPTY_SELECTION)}
        onDelete={() => confirmDeletion(selected)}
        onRetry={() => void retryDeletion(deleting)}
        onDismiss={() => dismissFailures(id)}
      />
      {target !== undefined && !isTargetShown && (
        <HiddenTarget filter={filter} pairs={pairs} stem={target} onFilter={onFilter} />
      )}
      {shown.length === 0 && (
        <p className="flex flex-wrap items-center gap-3 py-8 text-muted">
          {search === '' ? 'No pair matches this filter.' : `No filename matches “${search}”.`}
          <Button onClick={() => onFilter({ view: 'all', search: '', file: undefined })}>Show all</Button>
        </p>
      )}
      <PairGrid
        {...{ datasetId: id, hasCaptions, linked }}
        pairs={shown}
        selected={existing.stems}
        target={target}
        deleting={deletion.stems}
        current={current}
        onCurrent={setCurrent}
        handle={grid}
        onOpen={viewer.open}
        onSelect={onSelect}
      />
      {viewer.index !== undefined && (
        <Viewer
          {...{ datasetId: id, hasCaptions, linked }}
          choice={viewer.choice}
          onChoose={viewer.choose}
          pairs={shown}
          index={viewer.index}
          isSelected={existing.stems.has(shown[viewer.index]!.stem)}
          isPaused={toDelete !== undefined}
          onMove={viewer.open}
          onSelect={(stem) => setSelection(toggled(existing, stem))}
          onDelete={(pair) => confirmDeletion([pair])}
          onClose={() => {
            const { stem } = shown[viewer.index ?? 0]!;
            viewer.close();
            grid.current?.show(stem);
          }}
        />
      )}
      {toDelete !== undefined && (
        <DeletePairsDialog
          pairs={toDelete}
          isOtherRunning={deletion.isRunning}
          onClose={() => setToDelete(undefined)}
          onConfirm={() => {
            setToDelete(undefined);
            const files = toDelete.flatMap(({ stem, files }) =>
              files.map(({ filename, etag }) => ({ stem, filename, etag })),
            );
            void deleteFiles(files, deleting);
          }}
        />
      )}
    </>
  );
}

/** The pair that the viewer shows, and how. If it is deleted, the viewer shows the pair that takes its position. */
function useViewerState(shown: readonly Pair[]) {
  const [viewed, setViewed] = useState<{ readonly stem: string; readonly index: number }>();
  const [choice, setChoice] = useState(TARGET_ALONE);
  const at = viewed === undefined ? -1 : shown.findIndex(({ stem }) => stem === viewed.stem);
  const index =
    viewed === undefined || shown.length === 0 ? undefined : at >= 0 ? at : Math.min(viewed.index, shown.length - 1);
  const stem = index === undefined ? undefined : shown[index]?.stem;
  if (viewed !== undefined && (viewed.stem !== stem || viewed.index !== index)) {
    setViewed(stem === undefined || index === undefined ? undefined : { stem, index });
  }
  return {
    index,
    choice,
    choose: setChoice,
    open: useCallback((opened: string, slot?: LinkSlot) => {
      setViewed({ stem: opened, index: 0 });
      if (slot !== undefined) setChoice((known) => ({ ...known, slot }));
    }, []),
    close: useCallback(() => setViewed(undefined), []),
  };
}

function HiddenTarget({
  filter,
  pairs,
  stem,
  onFilter,
}: Pick<PairsProps, 'filter' | 'pairs' | 'onFilter'> & { stem: string }) {
  const isHidden = pairs.some((pair) => pair.stem === stem);
  return (
    <p role="status" className="flex flex-wrap items-center gap-3 text-sm">
      <span className="wrap-anywhere">
        {filter.file} is {isHidden ? 'hidden by the filter.' : 'no longer in the dataset.'}
      </span>
      {isHidden && <Button onClick={() => onFilter({ view: 'all', search: '', file: filter.file })}>Show it</Button>}
    </p>
  );
}

function NoFiles({ dataset: { id, awaited = [], checking = [] } }: { dataset: DatasetWithFiles }) {
  const isShared = useIsShared();
  // Those of a folder of pairs are sent after the controls and masks.
  const isSending = useIsSendingTo(id);
  const waiting = awaited.length > 0 || isSending ? 'Waiting for the first files' : 'No files yet';
  return (
    <div className="flex flex-col items-center gap-2 py-16 text-center">
      <p className="text-lg font-medium">
        {checking.length > 0 ? `Checking ${countOf(checking.length, 'file')}` : waiting}
      </p>
      {!isShared && !isSending && (
        <p className="text-muted">Drop files or a folder anywhere on this page, or use Add files above.</p>
      )}
    </div>
  );
}
