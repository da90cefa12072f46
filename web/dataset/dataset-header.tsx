import { ArrowLeft } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { contentsLine } from '../live/datasets.js';
import { RoleBadge } from '../roles/role-choice.js';
import { ONLY_READS, useCanWrite } from '../session/account.js';
import { useIsShared } from '../session/client.js';
import { countOf } from '../ui/format.js';
import { StatusBadge } from '../ui/status-badge.js';

interface DatasetHeaderProps {
  readonly dataset: DatasetWithFiles;
  /** The links to the views of the dataset. */
  readonly views: ReactNode;
  readonly children: ReactNode;
}

/** One row: the way back, what the dataset is and has, its views, and what can be done with it. On a phone, the views have a row. */
export function DatasetHeader({ dataset, views, children }: DatasetHeaderProps) {
  const { id, name, role, status, error } = dataset;
  const isShared = useIsShared();
  return (
    <header className="relative z-30 flex items-center gap-x-3 border-b border-line bg-panel px-4 max-sm:flex-wrap max-sm:px-2 sm:sticky sm:top-0 sm:h-12">
      <div className="flex h-12 min-w-0 grow basis-0 items-center gap-2">
        {!isShared && (
          <Link
            href="/"
            aria-label="All datasets"
            title="All datasets"
            className="-mx-2 inline-flex touch shrink-0 items-center justify-center rounded-lg p-2 hover:bg-raised"
          >
            <ArrowLeft size={18} aria-hidden />
          </Link>
        )}
        <h1 className="truncate font-semibold" title={name}>
          {name}
        </h1>
        <span aria-live="polite" className="contents">
          {isShared ? null : (
            <Link
              href={`/datasets/${id}/fitness`}
              title={error?.message ?? 'Fit to train?'}
              className="inline-flex min-h-6 touch shrink-0 items-center justify-center rounded-full"
            >
              <StatusBadge status={status} />
            </Link>
          )}
        </span>
        <RoleBadge role={role} />
        <OnlyReads />
        <span className="truncate text-sm text-muted max-lg:hidden">{contentsLine(dataset)}</span>
        <OpenFiles words="Waiting for" files={dataset.awaited} />
        <OpenFiles words="Checking" files={dataset.checking} />
      </div>
      {views}
      {children}
    </header>
  );
}

/** Says that changes will be rejected, before the user has typed any. */
function OnlyReads() {
  const canWrite = useCanWrite();
  const isShared = useIsShared();
  if (canWrite || isShared) return null;
  return (
    <span
      role="note"
      title={ONLY_READS}
      className="shrink-0 rounded-full bg-raised px-2.5 py-0.5 text-xs font-semibold"
    >
      Only reads
    </span>
  );
}

/** Files that are not in the dataset yet. */
function OpenFiles({ words, files = [] }: { words: string; files: readonly { filename: string }[] | undefined }) {
  if (files.length === 0) return null;
  return (
    <span
      title={files.map(({ filename }) => filename).join(', ')}
      className="shrink-0 text-sm text-muted max-sm:hidden"
    >
      {words} {countOf(files.length, 'file')}
    </span>
  );
}
