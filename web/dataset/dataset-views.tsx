import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { type KeyName, useKeys, withKey } from '../keys.js';
import { ROLE_WORDS } from '../live/slot-words.js';
import { useTitle } from '../ui/use-title.js';

/** The name of the view that the address of a dataset shows without the name of a view. */
export const FIRST_VIEW = 'workbench';

type ViewName = 'workbench' | 'fitness' | 'duplicates' | 'proposals' | 'history' | 'train';

interface DatasetView {
  readonly label: string;
  /** Whether a dataset has this view; by default, all have it. */
  readonly isFor?: (dataset: DatasetWithFiles) => boolean;
  /** Another view leads to it, which stays marked as the current one. */
  readonly partOf?: ViewName;
  readonly show: (dataset: DatasetWithFiles) => ReactNode;
}

/** The views of a dataset, by their names in the address, which are those of their keys. */
export type DatasetViewsByName = Readonly<Partial<Record<ViewName & KeyName, DatasetView>>>;

interface DatasetViewsProps {
  readonly views: DatasetViewsByName;
  readonly dataset: DatasetWithFiles;
  /** The name in the address. */
  readonly current: string;
}

function existingViews({ views, dataset }: DatasetViewsProps): readonly (readonly [ViewName, DatasetView])[] {
  const all = Object.entries(views) as [ViewName, DatasetView][];
  return all.filter(([, { isFor }]) => isFor?.(dataset) !== false);
}

/** Links to the views of a dataset, each with its key. A dataset with one view has none. */
export function DatasetNav(props: DatasetViewsProps) {
  const { dataset, current } = props;
  const [, navigate] = useLocation();
  const existing = existingViews(props);
  const addressOf = (name: ViewName) =>
    name === FIRST_VIEW ? `/datasets/${dataset.id}` : `/datasets/${dataset.id}/${name}`;
  useKeys(Object.fromEntries(existing.map(([name]) => [name, () => navigate(addressOf(name))])));
  const tabs = existing.filter(([, { partOf }]) => partOf === undefined);
  const currentTab = existing.find(([name]) => name === current)?.[1].partOf ?? current;
  if (tabs.length < 2) return null;
  return (
    <nav
      aria-label="Views of the dataset"
      className="flex shrink-0 gap-1 max-sm:order-last max-sm:w-full max-sm:border-t max-sm:border-line"
    >
      {tabs.map(([name, { label }]) => (
        <Link
          key={name}
          href={addressOf(name)}
          title={withKey(label, name)}
          aria-current={name === currentTab ? 'page' : undefined}
          className="touch min-h-11 content-center border-b-2 border-transparent px-2.5 text-sm font-medium text-muted hover:text-text aria-[current=page]:border-accent aria-[current=page]:text-text"
        >
          {label}
        </Link>
      ))}
    </nav>
  );
}

/** The view that the address names. */
export function ShownView(props: DatasetViewsProps) {
  const { views, dataset, current } = props;
  const shown = existingViews(props).find(([name]) => name === current)?.[1];
  useTitle(dataset.name, shown?.label);
  return (
    shown?.show(dataset) ?? (
      <p>
        {current in views
          ? `A ${ROLE_WORDS[dataset.role].toLowerCase()} has no such view.`
          : 'This view does not exist.'}
      </p>
    )
  );
}
