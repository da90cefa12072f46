import { PanelLeft, PanelRight, X } from 'lucide-react';
import type { ReactNode, Ref } from 'react';
import { withKey } from '../keys.js';
import { CARD_SIZES, type CardSize } from '../pairs/pair-card.js';
import type { SearchFault } from '../search/query.js';
import { SearchField } from '../search/search-field.js';
import { useIsShared } from '../session/client.js';
import { Button } from '../ui/button.js';
import { Chip } from '../ui/chip.js';
import { numberOf } from '../ui/format.js';
import { Choices } from '../ui/panel.js';
import { PAIR_ORDERS, type PairOrder } from './pair-order.js';
import type { PanelName, SidePanels } from './side-panel.js';
import { PAIR_VIEWS, type PairView, type WorkbenchFilter } from './workbench-filter.js';

interface ToolbarProps {
  readonly panels: SidePanels;
  readonly hasTags: boolean;
  readonly filter: WorkbenchFilter;
  readonly onFilter: (changes: Partial<WorkbenchFilter>) => void;
  /** Shown behind the views. */
  readonly chips: ReactNode;
  /** The views that can be chosen, with the number of their entries. */
  readonly counts: ReadonlyMap<PairView, number>;
  readonly size: CardSize;
  readonly onSize: (size: CardSize) => void;
  readonly search: Ref<HTMLInputElement>;
  /** What is wrong with the search. */
  readonly fault: SearchFault | undefined;
  readonly order: Ref<HTMLSelectElement>;
  /** How many are shown and selected, and what can be done with them. */
  readonly children: ReactNode;
  /** Shown below the bar. */
  readonly below: ReactNode;
}

/** What is shown, in which order and size. It stays in view; on a phone its parts scroll sideways, and elsewhere they wrap. */
export function Toolbar(props: ToolbarProps) {
  const { panels, hasTags, filter, onFilter, size, onSize, search, fault, order, children, below } = props;
  return (
    <div className="sticky top-0 z-20 border-b border-line bg-page sm:top-12">
      <search className="relative flex min-h-11 items-center gap-x-2 px-2 max-sm:overflow-x-auto sm:flex-wrap">
        {hasTags && <Fold name="tags" label="Tags, words, statistics" panels={panels} />}
        {children}
        <Views {...props} />
        <SearchField
          field={search}
          fault={fault}
          text={filter.search}
          onChange={(text) => onFilter({ search: text })}
        />
        <select
          ref={order}
          aria-label="Sort"
          title={withKey('Sort', 'sort')}
          value={filter.order}
          onChange={(event) => onFilter({ order: event.target.value as PairOrder })}
          className="min-h-9 w-24 shrink-0 touch rounded-lg border border-line bg-panel px-2 text-sm"
        >
          {Object.entries(PAIR_ORDERS).map(([value, { words }]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
        <div className="shrink-0" title={`${withKey('Larger', 'bigger')}, ${withKey('smaller', 'smaller')}`}>
          <Choices label="Size of the cards" isLabelHidden options={CARD_SIZES} value={size} onChange={onSize} />
        </div>
        <Fold name="inspector" label="Inspector" panels={panels} />
      </search>
      {below}
    </div>
  );
}

function Fold({ name, label, panels }: { name: PanelName; label: string; panels: SidePanels }) {
  const isOpen = panels.isOpen[name];
  const Icon = name === 'tags' ? PanelLeft : PanelRight;
  return (
    <Button
      icon={Icon}
      kind="quiet"
      aria-label={label}
      aria-expanded={isOpen}
      onClick={() => panels.setOpen(name, !isOpen)}
      className="shrink-0 px-2 aria-expanded:text-accent"
    />
  );
}

/** The filters that have pairs, and the one that is chosen. */
function Views({ filter, counts, onFilter, chips }: ToolbarProps) {
  const { view, term } = filter;
  return (
    <fieldset className="flex gap-1 sm:min-w-0 sm:grow sm:basis-24 sm:overflow-x-auto sm:py-0.5 *:shrink-0">
      <legend className="sr-only">Filter</legend>
      {[...counts].map(
        ([each, count]) =>
          (count > 0 || each === 'all' || each === view) && (
            <Chip key={each} isOn={view === each} onClick={() => onFilter({ view: each })}>
              {PAIR_VIEWS[each]} <span className="tabular-nums">{numberOf(count)}</span>
            </Chip>
          ),
      )}
      {term !== undefined && (
        <Chip isOn onClick={() => onFilter({ term: undefined })}>
          <span className="sr-only">Without </span>
          {term.kind} “{term.term}” <X size={14} aria-hidden />
        </Chip>
      )}
      {chips}
    </fieldset>
  );
}

interface ShownCountProps {
  /** Such as `25 pairs`. */
  readonly words: string;
  readonly shown: number;
  readonly selected: number;
  readonly onSelectAll: () => void;
  readonly onSelectNone: () => void;
}

/** How many pairs are shown and selected, with a box that selects all of them. */
export function ShownCount({ words, shown, selected, onSelectAll, onSelectNone }: ShownCountProps) {
  const isShared = useIsShared();
  const isAll = selected > 0 && selected === shown;
  const count = (
    <span role="status" className="shrink-0 text-sm font-medium whitespace-nowrap tabular-nums">
      {selected > 0 ? `${numberOf(selected)} of ${numberOf(shown)} selected` : words}
    </span>
  );
  if (isShared) return count;
  return (
    <label className="flex min-h-9 touch shrink-0 items-center gap-2 text-sm">
      <input
        type="checkbox"
        checked={isAll}
        ref={(box) => {
          if (box !== null) box.indeterminate = selected > 0 && !isAll;
        }}
        onChange={isAll ? onSelectNone : onSelectAll}
        aria-label={isAll ? 'Clear the selection' : 'Select all'}
        title={withKey('Select all', 'selectAll')}
        className="size-5 shrink-0 cursor-pointer accent-accent"
      />
      {count}
    </label>
  );
}
