import { FolderUp, Plus, Search } from 'lucide-react';
import { useCallback, useDeferredValue, useMemo, useRef, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import { commandLine } from '../../src/command-line.js';
import { DATASET_CARD_HEIGHT_REM, DatasetCard, type DatasetVerb, HEIGHT_WITH_LINKED_REM } from './dataset-card.js';
import {
  type DatasetListFilter,
  filterDatasets,
  formatDatasetFilter,
  parseDatasetFilter,
  SORTS,
  STATUSES,
} from './dataset-filter.js';
import { DeleteDatasetDialog } from './delete-dataset-dialog.js';
import { SettingsDialog } from './settings-dialog.js';
import { GuideLink } from '../guide/guide-panel.js';
import { useKeys } from '../keys.js';
import { useDatasets } from '../live/datasets.js';
import { WriteButton } from '../session/write-button.js';
import { Loaded } from '../ui/loaded.js';
import { Button } from '../ui/button.js';
import { useCardGrid } from '../ui/card-grid.js';
import { Chip } from '../ui/chip.js';
import { CopyLine } from '../ui/copy.js';
import { SelectField } from '../ui/fields.js';
import { numberOf } from '../ui/format.js';
import { loadedLater } from '../ui/loaded-later.js';
import { useTitle } from '../ui/use-title.js';
import { AddButton } from '../upload/add-files/add-buttons.js';
import { TryExample } from '../upload/example/try-example.js';

const ShareDialog = loadedLater(async () => (await import('../share/share-dialog.js')).ShareDialog);

/** The page with all datasets of the account. */
export function DatasetsPage() {
  useTitle('Datasets');
  const datasets = useDatasets();
  const [dialog, setDialog] = useState<'new' | { readonly verb: DatasetVerb; readonly dataset: Dataset }>();
  const open = useCallback((verb: DatasetVerb, dataset: Dataset) => setDialog({ verb, dataset }), []);
  const close = useCallback(() => setDialog(undefined), []);
  return (
    <>
      <div className="flex flex-wrap items-center gap-3">
        <h1 className="mr-auto text-xl font-semibold">Datasets</h1>
        <GuideLink place="page">Guide</GuideLink>
        <AddButton isFolder label="Upload a folder" />
        <WriteButton icon={Plus} kind="primary" onClick={() => setDialog('new')}>
          New dataset
        </WriteButton>
      </div>
      <Loaded of={datasets}>
        {(all) =>
          all.length === 0 ? (
            <FirstSteps onNew={() => setDialog('new')} />
          ) : (
            <FilteredGrid datasets={all} onVerb={open} />
          )
        }
      </Loaded>
      {dialog === 'new' && (
        <SettingsDialog dataset={undefined} taken={new Set(datasets.data?.map(({ name }) => name))} onClose={close} />
      )}
      {typeof dialog === 'object' && <VerbDialog {...dialog} onClose={close} />}
    </>
  );
}

function VerbDialog({ verb, dataset, onClose }: { verb: DatasetVerb; dataset: Dataset; onClose: () => void }) {
  switch (verb) {
    case 'settings':
      return <SettingsDialog dataset={dataset} onClose={onClose} />;
    case 'share':
      return <ShareDialog dataset={dataset} onClose={onClose} />;
    case 'delete':
      return <DeleteDatasetDialog dataset={dataset} onClose={onClose} onDeleted={onClose} />;
  }
}

type Filtered = ReturnType<typeof filterDatasets>;

interface FilteredGridProps {
  readonly datasets: readonly Dataset[];
  readonly onVerb: (verb: DatasetVerb, dataset: Dataset) => void;
}

function FilteredGrid({ datasets, onVerb }: FilteredGridProps) {
  const [query, setQuery] = useSearchParams();
  const filter = useMemo(() => parseDatasetFilter(query), [query]);
  // The search field updates first, the cards after it.
  const deferred = useDeferredValue(filter);
  const { shown, counts } = useMemo(() => filterDatasets(datasets, deferred), [datasets, deferred]);
  return (
    <>
      <DatasetFilterBar
        filter={filter}
        counts={counts}
        onChange={(next) => setQuery(formatDatasetFilter(next), { replace: true })}
      />
      {shown.length === 0 ? (
        <p className="flex items-center gap-3 py-8 text-muted">
          No dataset matches.
          <Button onClick={() => setQuery({}, { replace: true })}>Show all</Button>
        </p>
      ) : (
        <DatasetGrid datasets={shown} onVerb={onVerb} />
      )}
    </>
  );
}

const GAP_REM = 1;
const MIN_WIDTH_REM = 19;

/** A grid of dataset cards that renders only the rows near the visible ones. */
function DatasetGrid({ datasets, onVerb }: { datasets: Filtered['shown']; onVerb: FilteredGridProps['onVerb'] }) {
  const list = useRef<HTMLUListElement>(null);
  const { cells, height, isScrolling } = useCardGrid(list, {
    count: datasets.length,
    heightRem: datasets.some(({ linked }) => linked.length > 0) ? HEIGHT_WITH_LINKED_REM : DATASET_CARD_HEIGHT_REM,
    gapRem: GAP_REM,
    leastWidthRem: MIN_WIDTH_REM,
  });
  return (
    // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role of lists without markers
    <ul ref={list} role="list" aria-label="Datasets" className="relative" style={{ height }}>
      {cells.map(({ index, style }) => {
        const { dataset, linked } = datasets[index]!;
        return (
          <li
            key={dataset.id}
            aria-setsize={datasets.length}
            aria-posinset={index + 1}
            // The menu of a card covers the cards after it.
            className="absolute has-aria-expanded:z-10"
            style={style}
          >
            <DatasetCard dataset={dataset} linked={linked} canLoad={!isScrolling} onVerb={onVerb} />
          </li>
        );
      })}
    </ul>
  );
}

const STATUS_LABELS = { DRAFT: 'Draft', UPLOADING: 'Uploading', READY: 'Ready', FAILED: 'Failed' } as const;

interface DatasetFilterBarProps {
  readonly filter: DatasetListFilter;
  readonly counts: Filtered['counts'];
  readonly onChange: (filter: DatasetListFilter) => void;
}

/** Search field, status filter and sort order of the list. The key `/` focuses the search field. */
function DatasetFilterBar({ filter, counts, onChange }: DatasetFilterBarProps) {
  const field = useRef<HTMLInputElement>(null);
  useKeys({ search: () => field.current?.focus() });
  const all = STATUSES.reduce((sum, status) => sum + counts[status], 0);
  return (
    <search className="flex flex-wrap items-center gap-x-4 gap-y-3">
      <div className="relative w-full sm:w-64">
        <Search size={16} className="absolute top-1/2 left-3 -translate-y-1/2 text-muted" aria-hidden />
        <input
          ref={field}
          type="search"
          aria-label="Search datasets by name"
          aria-keyshortcuts="/"
          placeholder="Search"
          value={filter.search}
          onChange={(event) => onChange({ ...filter, search: event.target.value })}
          className="w-full touch rounded-lg border border-line bg-panel py-1.5 pr-2 pl-9"
        />
      </div>
      <fieldset className="flex flex-wrap gap-1">
        <legend className="sr-only">Status</legend>
        <Chip isOn={filter.status === undefined} onClick={() => onChange({ ...filter, status: undefined })}>
          All <span className="tabular-nums">{numberOf(all)}</span>
        </Chip>
        {STATUSES.map((status) => (
          <Chip key={status} isOn={filter.status === status} onClick={() => onChange({ ...filter, status })}>
            {STATUS_LABELS[status]} <span className="tabular-nums">{numberOf(counts[status])}</span>
          </Chip>
        ))}
      </fieldset>
      <div className="sm:ml-auto">
        <SelectField
          label="Sort"
          value={filter.sort}
          options={SORTS}
          onChange={(sort) => onChange({ ...filter, sort })}
        />
      </div>
    </search>
  );
}

/** Instructions for an account without datasets. */
function FirstSteps({ onNew }: { onNew: () => void }) {
  return (
    <section aria-labelledby="first-steps" className="mx-auto flex w-full max-w-5xl flex-col gap-6 py-8">
      <div className="flex flex-col items-center gap-3 text-center">
        <FolderUp size={40} className="text-accent" aria-hidden />
        <h2 id="first-steps" className="text-lg font-semibold">
          No datasets yet
        </h2>
        <p className="max-w-prose text-muted">
          A dataset is a flat folder of images or clips, each with its caption in a text file of the same name:{' '}
          <code>dog.jpg</code> and <code>dog.txt</code>. The service checks every file when it is uploaded, before you
          spend a GPU hour on it.
        </p>
        <GuideLink place="datasets">What makes a dataset READY</GuideLink>
      </div>
      <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
        <TryExample />
        <div className="flex flex-col items-start gap-3 rounded-xl border border-line bg-panel p-5">
          <h3 className="font-medium">On this page</h3>
          <p className="text-sm text-muted">
            Drop a folder anywhere on this page, or create a dataset first and add files on its page.
          </p>
          <WriteButton icon={Plus} kind="primary" onClick={onNew} className="mt-auto">
            New dataset
          </WriteButton>
        </div>
        <div className="flex min-w-0 flex-col gap-3 rounded-xl border border-line bg-panel p-5 sm:max-lg:col-span-2">
          <h3 className="font-medium">From a terminal</h3>
          <p className="text-sm text-muted">
            Run these next to your folder, here called photos. Run push again to upload what is missing.
          </p>
          <CopyLine text={commandLine(location.origin, ['login', location.origin])} what="the command that signs in" />
          <CopyLine text={commandLine(location.origin, ['push', 'photos'])} what="the command that uploads a folder" />
        </div>
      </div>
    </section>
  );
}
