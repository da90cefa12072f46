import { Search } from 'lucide-react';
import { useRef } from 'react';
import { useKeys } from '../keys.js';
import { Chip } from '../ui/chip.js';
import { SelectField } from '../ui/fields.js';
import { numberOf } from '../ui/format.js';
import { type DatasetListFilter, type FilteredDatasets, SORTS, STATUSES } from './dataset-filter.js';

const STATUS_LABELS = { DRAFT: 'Draft', UPLOADING: 'Uploading', READY: 'Ready', FAILED: 'Failed' } as const;

interface DatasetFilterBarProps {
  readonly filter: DatasetListFilter;
  readonly counts: FilteredDatasets['counts'];
  readonly onChange: (filter: DatasetListFilter) => void;
}

/** Search field, status filter and sort order of the list. The key `/` focuses the search field. */
export function DatasetFilterBar({ filter, counts, onChange }: DatasetFilterBarProps) {
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
