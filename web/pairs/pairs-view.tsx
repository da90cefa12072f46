import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { stemOf } from '../../src/dataset/media.js';
import { useDataset } from '../live/dataset.js';
import { isInCategory, type Pair, pairsOf, rejectedUploadsOf } from '../live/pairs.js';
import { useClient } from '../session/client.js';
import { Button } from '../ui/button.js';
import { isDialogOpen, isTyping } from '../ui/keys.js';
import { FilterBar } from './filter-bar.js';
import type { ModifierKeys } from './pair-card.js';
import { type PairFilter, pairFilterOf, categoryCounts, pairFilterParameters, nameMatcher } from './pair-filter.js';
import { PairGrid, type PairGridHandle } from './pair-grid.js';
import { RejectedUploads } from './rejected-uploads.js';
import { DeletePairsDialog } from './selection/delete-pairs-dialog.js';
import { type FileToDelete, deleteFiles, dismissFailures, useDeletion } from './selection/deletion.js';
import { allOf, extended, EMPTY_SELECTION, toggled, withoutDeleted } from './selection/selection.js';
import { SelectionBar } from './selection/selection-bar.js';
import { Viewer } from './viewer.js';

/** All pairs of a dataset, and what was refused. */
export function PairsView({ dataset }: { dataset: DatasetWithFiles }) {
  const [parameters, setParameters] = useSearchParams();
  const choice = useMemo(() => pairFilterOf(parameters), [parameters]);
  const choose = (next: PairFilter) => setParameters(pairFilterParameters(next), { replace: true });
  const pairs = useMemo(() => pairsOf(dataset), [dataset]);
  const allRefused = useMemo(() => rejectedUploadsOf(dataset), [dataset]);
  const refused = useMemo(() => {
    const isFound = nameMatcher(choice.search);
    return allRefused.filter(({ filename }) => isFound([filename]));
  }, [allRefused, choice.search]);
  const counts = useMemo(() => categoryCounts(pairs), [pairs]);
  const rejected = Math.max(allRefused.length, dataset.counts.rejected);
  if (pairs.length === 0 && rejected === 0) return <NoFiles awaited={dataset.awaited?.length ?? 0} />;
  return (
    <>
      <FilterBar choice={choice} counts={{ ...counts, rejected }} onChange={choose} />
      {choice.view === 'rejected' ? (
        <RejectedUploads dataset={dataset} refused={refused} />
      ) : (
        <Pairs dataset={dataset} pairs={pairs} choice={choice} onChoice={choose} />
      )}
    </>
  );
}

interface PairsProps {
  readonly dataset: DatasetWithFiles;
  readonly pairs: readonly Pair[];
  readonly choice: PairFilter;
  readonly onChoice: (choice: PairFilter) => void;
}

function Pairs({ dataset, pairs, choice, onChoice }: PairsProps) {
  const { id, awaited = [] } = dataset;
  const client = useClient();
  const { refetch } = useDataset(id);
  const deletion = useDeletion(id);
  const grid = useRef<PairGridHandle>(null);
  // Typing comes first, and the cards follow.
  const { view, search } = useDeferredValue(choice);
  const shown = useMemo(() => {
    const isFound = nameMatcher(search);
    return pairs.filter(
      (pair) =>
        (view === 'rejected' || isInCategory(pair, view)) && isFound(pair.files.map(({ filename }) => filename)),
    );
  }, [pairs, view, search]);
  const [current, setCurrent] = useState<string>();
  const [selection, setSelection] = useState(EMPTY_SELECTION);
  const kept = useMemo(() => withoutDeleted(selection, pairs), [selection, pairs]);
  if (kept !== selection) setSelection(kept);
  // What is not shown is not acted upon.
  const selected = useMemo(() => shown.filter(({ stem }) => kept.stems.has(stem)), [shown, kept]);
  const [asked, setAsked] = useState<readonly Pair[]>();
  const viewer = useViewed(shown);

  const target = choice.file === undefined ? undefined : stemOf(choice.file.normalize('NFC'));
  const isThere = shown.some(({ stem }) => stem === target);
  const onChoose = useCallback(
    (stem: string, { shiftKey }: ModifierKeys) =>
      setSelection((known) => (shiftKey ? extended(known, stem, shown) : toggled(known, stem))),
    [shown],
  );
  const ask = (about: readonly Pair[]) => about.length > 0 && !deletion.isRunning && setAsked(about);
  const remove = (files: readonly FileToDelete[]) => void deleteFiles(files, { client, datasetId: id, refetch });

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (isTyping(event.target) || isDialogOpen() || event.defaultPrevented) return;
      if (event.key === 'a' && (event.ctrlKey || event.metaKey)) setSelection(allOf(shown));
      else if (event.key === 'Escape') setSelection(EMPTY_SELECTION);
      else if (event.key === 'Delete')
        ask(selected.length > 0 ? selected : shown.filter(({ stem }) => stem === current));
      else return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  });

  return (
    <>
      <SelectionBar
        shown={shown.length}
        selected={selected.length}
        awaited={awaited}
        deletion={deletion}
        onSelectAll={() => setSelection(allOf(shown))}
        onSelectNone={() => setSelection(EMPTY_SELECTION)}
        onDelete={() => ask(selected)}
        onRetry={() => remove(deletion.failures)}
        onDismiss={() => dismissFailures(id)}
      />
      {target !== undefined && !isThere && <NotThere choice={choice} pairs={pairs} stem={target} onChoice={onChoice} />}
      {shown.length === 0 && (
        <p className="flex flex-wrap items-center gap-3 py-8 text-muted">
          {search === '' ? 'No pair is like that.' : `No file here has “${search}” in its name.`}
          <Button onClick={() => onChoice({ view: 'all', search: '', file: undefined })}>Show all</Button>
        </p>
      )}
      <PairGrid
        datasetId={id}
        pairs={shown}
        selected={kept.stems}
        target={target}
        deleting={deletion.stems}
        current={current}
        onCurrent={setCurrent}
        handle={grid}
        onOpen={viewer.open}
        onChoose={onChoose}
      />
      {viewer.index !== undefined && (
        <Viewer
          datasetId={id}
          pairs={shown}
          index={viewer.index}
          isSelected={kept.stems.has(shown[viewer.index]!.stem)}
          isPaused={asked !== undefined}
          onMove={viewer.open}
          onSelect={(stem) => setSelection(toggled(kept, stem))}
          onDelete={(pair) => ask([pair])}
          onClose={() => {
            const { stem } = shown[viewer.index ?? 0]!;
            viewer.close();
            grid.current?.show(stem);
          }}
        />
      )}
      {asked !== undefined && (
        <DeletePairsDialog
          pairs={asked}
          onClose={() => setAsked(undefined)}
          onConfirm={() => {
            setAsked(undefined);
            remove(asked.flatMap(({ stem, files }) => files.map(({ filename }) => ({ stem, filename }))));
          }}
        />
      )}
    </>
  );
}

/** Which of the pairs is open: where that one is gone, whoever has taken its index. */
function useViewed(shown: readonly Pair[]) {
  const [viewed, setViewed] = useState<{ readonly stem: string; readonly index: number }>();
  const at = viewed === undefined ? -1 : shown.findIndex(({ stem }) => stem === viewed.stem);
  const index =
    viewed === undefined || shown.length === 0 ? undefined : at >= 0 ? at : Math.min(viewed.index, shown.length - 1);
  const stem = index === undefined ? undefined : shown[index]?.stem;
  if (viewed !== undefined && (viewed.stem !== stem || viewed.index !== index)) {
    setViewed(stem === undefined || index === undefined ? undefined : { stem, index });
  }
  return {
    index,
    open: useCallback((opened: string) => setViewed({ stem: opened, index: 0 }), []),
    close: useCallback(() => setViewed(undefined), []),
  };
}

function NotThere({ choice, pairs, stem, onChoice }: Omit<PairsProps, 'dataset'> & { stem: string }) {
  const isHidden = pairs.some((pair) => pair.stem === stem);
  return (
    <p role="status" className="flex flex-wrap items-center gap-3 text-sm">
      <span className="wrap-anywhere">
        {choice.file} is {isHidden ? 'not among those shown.' : 'not in the dataset any more.'}
      </span>
      {isHidden && <Button onClick={() => onChoice({ view: 'all', search: '', file: choice.file })}>Show it</Button>}
    </p>
  );
}

function NoFiles({ awaited }: { awaited: number }) {
  return (
    <div className="flex flex-col items-center gap-2 py-16 text-center">
      <p className="text-lg font-medium">{awaited > 0 ? 'The first files are on their way.' : 'No files yet'}</p>
      <p className="text-muted">Drop files or a folder anywhere on this page, or use Add files above.</p>
    </div>
  );
}
