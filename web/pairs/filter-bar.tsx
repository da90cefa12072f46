import { Search } from 'lucide-react';
import { Chip } from '../ui/chip.js';
import { numberOf } from '../ui/format.js';
import { type PairFilter, VIEWS, type View } from './pair-filter.js';

interface FilterBarProps {
  readonly filter: PairFilter;
  /** The views that can be chosen, with the number of their entries. */
  readonly counts: ReadonlyMap<View, number>;
  readonly onChange: (filter: PairFilter) => void;
}

/** Filters the pairs, and searches them by filename. */
export function FilterBar({ filter, counts, onChange }: FilterBarProps) {
  return (
    <search className="flex flex-wrap items-center gap-x-4 gap-y-2">
      <fieldset className="flex flex-wrap gap-1">
        <legend className="sr-only">Filter</legend>
        {[...counts].map(([view, count]) => (
          <Chip key={view} isOn={filter.view === view} onClick={() => onChange({ ...filter, view, file: undefined })}>
            {VIEWS[view]} <span className="tabular-nums">{numberOf(count)}</span>
          </Chip>
        ))}
      </fieldset>
      <div className="relative w-full sm:ml-auto sm:w-64">
        <Search size={16} className="absolute top-1/2 left-3 -translate-y-1/2 text-muted" aria-hidden />
        <input
          type="search"
          aria-label="Search files by name"
          placeholder="Search by name"
          value={filter.search}
          onChange={(event) => onChange({ ...filter, search: event.target.value, file: undefined })}
          className="w-full touch rounded-lg border border-line bg-panel py-1.5 pr-2 pl-9"
        />
      </div>
    </search>
  );
}
