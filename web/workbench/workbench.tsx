import { useCallback, useMemo, useRef, useState } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { stemOf } from '../../src/dataset/media.js';
import { BulkPanel } from '../captions/bulk/bulk-panel.js';
import { CaptionLoopProvider, useOwnCaptionLoop } from '../captions/editing/caption-loop.js';
import { KnownTagsProvider } from '../captions/editing/use-completion.js';
import { NotSaved } from '../captions/editing/unsaved-captions.js';
import { CaptionWithModel } from '../captioning/caption-with-model.js';
import { DuplicatesChip } from '../duplicates/duplicates-panel.js';
import { useKeys } from '../keys.js';
import { useProposedStems } from '../live/caption-runs.js';
import { LinksLine } from '../links/links-line.js';
import { useLinkedDatasets } from '../live/linked.js';
import { type Pair, pairsOf, rejectedUploadsOf } from '../live/pairs.js';
import { CARD_SIZES, type ModifierKeys } from '../pairs/pair-card.js';
import { PairGrid, type PairGridHandle } from '../pairs/pair-grid.js';
import { RejectedUploads } from '../pairs/rejected-uploads.js';
import { loadedLater } from '../ui/loaded-later.js';
import { allOf, EMPTY_SELECTION, extended, rangeOf, toggled, withoutDeleted } from '../pairs/selection/selection.js';
import { DeletionFailures, DeletionProgress, SelectionVerbs, useDeleting } from '../pairs/selection/selection-verbs.js';
import { PictureComparison, MAX_COMPARED } from '../pairs/viewer/picture-comparison.js';
import { Viewer } from '../pairs/viewer/viewer.js';
import { ReviewChip } from '../review.js';
import { useCanWrite } from '../session/account.js';
import { useIsShared } from '../session/client.js';
import { useTagging } from '../tagging/use-tagging.js';
import { Button } from '../ui/button.js';
import { countOf } from '../ui/format.js';
import { LoadFailure } from '../ui/loaded.js';
import { useStored } from '../ui/use-stored.js';
import { useIsSendingTo } from '../upload/queue/upload-queue.js';
import { PairInspector } from './inspector.js';
import { SidePanel, useSidePanels } from './side-panel.js';
import { TagsPanel } from './tags-panel.js';
import { ShownCount, Toolbar } from './toolbar.js';
import { type ReadCaptions, useReadCaptions, useShownPairs, useWorkbenchFilter } from './use-shown-pairs.js';
import { useViewerState } from './viewer-state.js';
import {
  NO_FILTER,
  type PairView,
  scopeText,
  shownText,
  viewCounts,
  viewsOf,
  type WorkbenchFilter,
} from './workbench-filter.js';

const CopyDialog = loadedLater(async () => (await import('../pairs/selection/copy-dialog.js')).CopyDialog);

/** The pairs of a dataset: pictures between the tags of all captions and the facts of one pair. */
export function Workbench({ dataset }: { dataset: DatasetWithFiles }) {
  const pairs = useMemo(() => pairsOf(dataset), [dataset]);
  const rejected = Math.max(
    rejectedUploadsOf(dataset).length,
    dataset.counts.rejected - (dataset.damaged?.length ?? 0),
  );
  if (pairs.length === 0 && rejected === 0) return <NoFiles dataset={dataset} />;
  return <Bench dataset={dataset} pairs={pairs} rejected={rejected} />;
}

interface BenchProps {
  readonly dataset: DatasetWithFiles;
  readonly pairs: readonly Pair[];
  /** The number of rejected uploads. */
  readonly rejected: number;
}

function Bench({ dataset, pairs, rejected }: BenchProps) {
  const { id } = dataset;
  const isTraining = dataset.role === 'training';
  const isShared = useIsShared();
  const panels = useSidePanels();
  const [size, setSize] = useStored('trainyard-card-size', CARD_SIZES, 'M');
  const { filter, setFilter, times } = useWorkbenchFilter();
  const { linked, error, retry } = useLinkedDatasets(dataset);
  const captions = useReadCaptions(dataset, pairs, filter.term);
  const proposed = useProposedStems(dataset);
  const view = useShownPairs(pairs, { filter, times, linked, proposed, known: captions });
  const { shown, done } = view;
  const views = viewsOf(dataset);
  const { duplicates } = captions;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the views follow from the role and the links
  const counts = useMemo(
    () => viewCounts(pairs, views, { linked, duplicates, term: undefined }),
    [pairs, linked, duplicates, views.join()],
  );

  const grid = useRef<PairGridHandle>(null);
  const search = useRef<HTMLInputElement>(null);
  const order = useRef<HTMLSelectElement>(null);
  const [current, setCurrent] = useState<string>();
  const selecting = useSelection(shown, pairs);
  const { selected } = selecting;
  const deleting = useDeleting(id);
  const viewer = useViewerState({ pairs, shown, onClosed: (stem) => grid.current?.show(stem) });
  const reveal = (stem: string) => grid.current?.reveal(stem);
  const leave = (stem: string) => grid.current?.show(stem);
  const inGrid = useOwnCaptionLoop({ datasetId: id, pairs: shown, reveal, leave, isRoving: true });
  const inInspector = useOwnCaptionLoop({ datasetId: id, pairs: shown, reveal, leave });
  const inViewer = useOwnCaptionLoop({ datasetId: id, pairs: viewer.list, reveal: viewer.open });
  const write = (stem: string) => {
    // At size S, the inspector shows the pairs that are selected.
    if (!isTraining || (size === 'S' && selected.length > 1)) return;
    if (size !== 'S') return inGrid.write(stem);
    panels.setOpen('inspector', true);
    inInspector.write(stem);
  };
  const showFile = (filename: string) => {
    const stem = stemOf(filename);
    if (shown.some((pair) => pair.stem === stem)) write(stem);
    else setFilter({ ...NO_FILTER, file: filename });
  };
  const resize = (step: number) => {
    const next = CARD_SIZES[CARD_SIZES.indexOf(size) + step];
    if (next !== undefined) setSize(next);
  };
  const compare =
    selected.length > 1 && selected.length <= MAX_COMPARED
      ? () => viewer.compare(selected.map(({ stem }) => stem))
      : undefined;
  const targets = selected.length > 0 ? selected : shown.filter(({ stem }) => stem === current);
  const copying = useCopying(dataset, targets, deleting.deleteNow);
  useKeys({
    compare,
    search: () => search.current?.focus(),
    sort: () => order.current?.focus(),
    bigger: () => resize(1),
    smaller: () => resize(-1),
    selectAll: isShared ? undefined : selecting.all,
    selectNone: selected.length > 0 ? selecting.none : undefined,
    remove: targets.length > 0 ? () => deleting.ask(targets) : undefined,
    copyTo: copying.canAsk ? () => copying.ask('copy') : undefined,
    moveTo: copying.canAsk && !deleting.isRunning ? () => copying.ask('move') : undefined,
  });

  const currentPair = pairs.find(({ stem }) => stem === current);
  const tagging = useTagging({ datasetId: id, isTraining, captions, selected, current: currentPair });

  const target = filter.file === undefined ? undefined : stemOf(filter.file.normalize('NFC'));
  const verbs = !deleting.isRunning && selected.length > 0 && (
    <div className="flex flex-wrap items-center gap-1">
      {tagging.verbs}
      {isTraining && <CaptionWithModel dataset={dataset} pairs={selected} words="Caption" />}
      <SelectionVerbs
        onCompare={compare}
        onCopy={copying.ask}
        onDelete={() => deleting.ask(selected)}
        onSelectNone={selecting.none}
      />
    </div>
  );
  return (
    <KnownTagsProvider value={captions.tags}>
      <div className="-mx-4 -mb-4 flex grow flex-col first:-mt-4">
        <Toolbar
          {...{ panels, filter, size, search, order }}
          fault={view.fault}
          hasTags={isTraining}
          onFilter={setFilter}
          chips={
            <>
              <DuplicatesChip dataset={dataset} />
              <ReviewChip datasetId={id} view="proposals" words="Proposals" count={proposed.size} />
            </>
          }
          counts={new Map([...counts, ['rejected', rejected]])}
          onSize={setSize}
          below={<DeletionFailures datasetId={id} />}
        >
          {filter.view !== 'rejected' && (
            <ShownCount
              words={view.isCounting ? 'Counting …' : shownText(view.filter, shown.length, done.size)}
              shown={shown.length}
              selected={selected.length}
              onSelectAll={selecting.all}
              onSelectNone={selecting.none}
            />
          )}
          {filter.view === 'missing' && selected.length === 0 && (
            <CaptionWithModel dataset={dataset} pairs={shown} words="Caption with a model …" />
          )}
          <NotSaved datasetId={id} onShow={showFile} />
          <DeletionProgress datasetId={id} />
          {!panels.isOpen.inspector && (
            <div className="max-w-full shrink-0 max-sm:w-max max-sm:max-w-none">{verbs}</div>
          )}
        </Toolbar>
        <div className="flex grow items-start">
          {isTraining && (
            <SidePanel name="tags" label="Tags, words, statistics" panels={panels}>
              <TagsPanel
                {...captions}
                {...{ dataset, filter }}
                {...tagging}
                onKind={captions.setKind}
                onFilter={setFilter}
                showsJob={!panels.isOpen.inspector}
              />
            </SidePanel>
          )}
          <div className="flex min-w-0 grow flex-col gap-3 p-4 max-sm:p-3">
            {!isTraining && <LinksLine dataset={dataset} />}
            <LoadFailure error={error} what="Could not read the controls and masks." onRetry={retry} />
            {filter.view === 'rejected' ? (
              <RejectedUploads dataset={dataset} search={filter.search} />
            ) : (
              <>
                <HiddenTarget {...{ filter, pairs, shown, target }} onFilter={setFilter} />
                {viewer.missing !== undefined && (
                  <p role="status" className="text-sm wrap-anywhere">
                    {viewer.missing} is no longer in the dataset.
                  </p>
                )}
                {shown.length === 0 && !view.isCounting && <NoMatch filter={view.filter} onFilter={setFilter} />}
                <CaptionLoopProvider value={inGrid}>
                  <PairGrid
                    {...{ datasetId: id, size, hasCaptions: isTraining, linked, done, proposed, target, current }}
                    pairs={shown}
                    selected={selecting.stems}
                    deleting={deleting.stems}
                    onCurrent={setCurrent}
                    onSelectRange={selecting.range}
                    onWrite={write}
                    handle={grid}
                    onOpen={viewer.open}
                    onSelect={selecting.select}
                    marks={view.marks}
                  />
                </CaptionLoopProvider>
              </>
            )}
          </div>
          <SidePanel name="inspector" label="Inspector" panels={panels}>
            <CaptionLoopProvider value={inInspector}>
              <PairInspector
                {...{ datasetId: id, hasCaptions: isTraining, selected, verbs }}
                isSecondField={size !== 'S'}
                pair={currentPair}
              />
            </CaptionLoopProvider>
            <ManyCaptions
              {...{ datasetId: id, captions, shown, selected, done }}
              scope={scopeText(filter, selected.length)}
            />
          </SidePanel>
        </div>
        {viewer.index !== undefined && (
          <CaptionLoopProvider value={inViewer}>
            <Viewer
              {...{ datasetId: id, hasCaptions: isTraining, linked }}
              choice={viewer.choice}
              onChoose={viewer.choose}
              pairs={viewer.list}
              index={viewer.index}
              filename={viewer.filename}
              isSelected={viewer.stem !== undefined && selecting.stems.has(viewer.stem)}
              onMove={viewer.open}
              onChooseFile={viewer.showFile}
              onSelect={selecting.toggle}
              onDelete={(pair) => deleting.ask([pair])}
              onClose={viewer.close}
            />
          </CaptionLoopProvider>
        )}
        {viewer.compared !== undefined && (
          <PictureComparison
            {...{ datasetId: id, hasCaptions: isTraining }}
            pairs={viewer.compared}
            deleting={deleting.stems}
            onDelete={deleting.ask}
            onClose={viewer.close}
          />
        )}
        {deleting.question}
        {copying.dialog}
        {tagging.dialog}
      </div>
    </KnownTagsProvider>
  );
}

/** The selected pairs. Actions apply to those that are shown. */
function useSelection(shown: readonly Pair[], pairs: readonly Pair[]) {
  const isShared = useIsShared();
  const [selection, setSelection] = useState(EMPTY_SELECTION);
  const existing = useMemo(() => withoutDeleted(selection, pairs), [selection, pairs]);
  if (existing !== selection) setSelection(existing);
  return {
    stems: existing.stems,
    selected: useMemo(() => shown.filter(({ stem }) => existing.stems.has(stem)), [shown, existing]),
    select: useCallback(
      (stem: string, { shiftKey }: Pick<ModifierKeys, 'shiftKey'>) =>
        // The selection is there to change files.
        isShared || setSelection((known) => (shiftKey ? extended(known, stem, shown) : toggled(known, stem))),
      [shown, isShared],
    ),
    toggle: (stem: string) => setSelection(toggled(existing, stem)),
    range: (from: string, to: string) => isShared || setSelection(rangeOf(existing, { from, to }, shown)),
    all: () => setSelection(allOf(shown)),
    none: useCallback(() => setSelection(EMPTY_SELECTION), []),
  };
}

/** Copies or moves pairs to another dataset. */
function useCopying(dataset: DatasetWithFiles, targets: readonly Pair[], onArrived: (pairs: readonly Pair[]) => void) {
  const canWrite = useCanWrite();
  const [asked, setAsked] = useState<{ readonly verb: 'copy' | 'move'; readonly pairs: readonly Pair[] }>();
  return {
    canAsk: canWrite && targets.length > 0,
    ask: (verb: 'copy' | 'move') => setAsked({ verb, pairs: targets }),
    dialog: asked && <CopyDialog {...asked} {...{ dataset, onArrived }} onClose={() => setAsked(undefined)} />,
  };
}

interface ManyCaptionsProps {
  readonly datasetId: string;
  readonly captions: ReadCaptions;
  readonly shown: readonly Pair[];
  readonly selected: readonly Pair[];
  readonly done: ReadonlySet<string>;
  readonly scope: string;
}

/** The change to many captions: of the selected pairs, or of those that are shown and match. */
function ManyCaptions({ datasetId, captions, shown, selected, done, scope }: ManyCaptionsProps) {
  const { statistics, read } = captions;
  const pairs = useMemo(() => {
    const targets = selected.length > 0 ? selected : shown.filter(({ stem }) => !done.has(stem));
    const stems = new Set(targets.map(({ stem }) => stem));
    return (read.pairs ?? []).filter(({ stem }) => stems.has(stem));
  }, [read.pairs, shown, selected, done]);
  if (statistics === undefined) return null;
  const initialKind = statistics.captions === 0 ? 'fill' : 'prepend';
  return <BulkPanel {...{ datasetId, pairs, scope, initialKind }} />;
}

interface FilterProps {
  readonly filter: WorkbenchFilter;
  readonly onFilter: (changes: Partial<WorkbenchFilter>) => void;
}

const NOTHING_LEFT: Partial<Record<PairView, string>> = {
  missing: 'Every image and clip has its caption.',
  blank: 'No caption is blank.',
  duplicates: 'No two captions are the same.',
  warnings: 'No pair has a warning.',
};

function NoMatch({ filter, onFilter }: FilterProps) {
  const { view, term, search } = filter;
  const isOnlyView = term === undefined && search === '';
  const isOnlySearch = term === undefined && view === 'all' && search !== '';
  const isNothingLeft = isOnlyView && NOTHING_LEFT[view];
  const words = isNothingLeft || (isOnlySearch ? `Nothing matches “${search}”.` : 'No pair matches this filter.');
  return (
    <p className="flex flex-wrap items-center gap-3 py-8 text-muted">
      {words} <Button onClick={() => onFilter(NO_FILTER)}>Show all</Button>
    </p>
  );
}

interface HiddenTargetProps extends FilterProps {
  readonly pairs: readonly Pair[];
  readonly shown: readonly Pair[];
  /** The stem of the file that a link leads to. */
  readonly target: string | undefined;
}

/** Says why the file is not shown that a link leads to. */
function HiddenTarget({ filter, pairs, shown, target, onFilter }: HiddenTargetProps) {
  if (target === undefined || shown.some(({ stem }) => stem === target)) return null;
  const isHidden = pairs.some(({ stem }) => stem === target);
  return (
    <p role="status" className="flex flex-wrap items-center gap-3 text-sm">
      <span className="wrap-anywhere">
        {filter.file} is {isHidden ? 'hidden by the filter.' : 'no longer in the dataset.'}
      </span>
      {isHidden && <Button onClick={() => onFilter({ ...NO_FILTER, file: filter.file })}>Show it</Button>}
    </p>
  );
}

function NoFiles({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, awaited = [], checking = [] } = dataset;
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
        <p className="text-muted">Drop files or a folder anywhere on this page, or choose them under “Add”.</p>
      )}
      <LinksLine dataset={dataset} />
    </div>
  );
}
