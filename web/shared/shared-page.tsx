import { useEffect, useMemo, useState } from 'react';
import { Router } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { DatasetHeader } from '../dataset/dataset-header.js';
import { DatasetNav, type DatasetViewsByName, ShownView } from '../dataset/dataset-views.js';
import { isGone, useDataset, useLinks } from '../live/dataset.js';
import { Live } from '../live/live.js';
import { ClientProvider } from '../session/client.js';
import { messageOf } from '../ui/format.js';
import { loadedLater } from '../ui/loaded-later.js';
import { PageBody, SkipLink } from '../ui/page-body.js';
import { DropTarget } from '../upload/add-files/drop-target.js';
import { Workbench } from '../workbench/workbench.js';

const DuplicatesView = loadedLater(async () => (await import('../duplicates/duplicates-view.js')).DuplicatesView);

const VIEWS: DatasetViewsByName = {
  workbench: { label: 'Workbench', show: (dataset) => <Workbench dataset={dataset} /> },
  duplicates: {
    label: 'Duplicates',
    partOf: 'workbench',
    isFor: ({ role }) => role === 'training',
    show: (dataset) => <DuplicatesView dataset={dataset} />,
  },
};

/** A dataset as a share link shows it: its current files, to a person without an account. A session of the browser is untouched. */
export function SharedPage({ id, view }: { id: string; view: string }) {
  const [secret, setSecret] = useState(() => secretOf(id));
  const [reason, setReason] = useState<string>();
  useEffect(() => {
    // A new link to the same dataset, opened in this tab, loads no new page.
    const takeNew = () => {
      setSecret(secretOf(id));
      setReason(undefined);
    };
    addEventListener('hashchange', takeNew);
    return () => removeEventListener('hashchange', takeNew);
  }, [id]);
  if (secret === undefined || reason !== undefined) return <Ended />;
  return (
    <ClientProvider token={secret} onUnauthorized={setReason}>
      <Router base="/shared">
        <Live />
        <div className="flex min-h-dvh flex-col">
          <SkipLink />
          <SharedDataset id={id} view={view} />
        </div>
        <DropTarget />
      </Router>
    </ClientProvider>
  );
}

function SharedDataset({ id, view }: { id: string; view: string }) {
  const { data: dataset, error } = useDataset(id);
  const links = useLinks(id);
  const alone = useMemo(() => dataset && withoutLinks(dataset), [dataset]);
  if (isGone(error)) return <Alone alert="This dataset was deleted." />;
  if (dataset === undefined || alone === undefined) return <Alone alert={error === null ? '' : messageOf(error)} />;
  const shown = { views: VIEWS, dataset: alone, current: view };
  return (
    <>
      <DatasetHeader dataset={alone} views={<DatasetNav {...shown} />}>
        {links !== undefined && dataset.files.length > 0 && (
          <a
            href={links.zip()}
            download
            className="shrink-0 touch content-center rounded-lg border border-line bg-panel px-3 py-1.5 text-sm font-medium hover:bg-raised"
          >
            Download all files
          </a>
        )}
      </DatasetHeader>
      <PageBody>
        <ShownView {...shown} />
      </PageBody>
      <p className="border-t border-line px-4 py-2 text-sm text-muted">
        Shared with you to look at and to download. You can't change it.
        {dataset.links !== undefined && ' It is trained with controls or masks, which are not shared.'}
      </p>
    </>
  );
}

/** A page without a dataset: it loads, or `alert` says why there is none. */
function Alone({ alert }: { alert: string }) {
  return <PageBody>{alert === '' ? <p aria-live="polite">Loading …</p> : <p role="alert">{alert}</p>}</PageBody>;
}

/** The linked datasets are not shared with a dataset: their files can't be read. */
function withoutLinks({ links: _, ...dataset }: DatasetWithFiles): DatasetWithFiles {
  return dataset;
}

function Ended() {
  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-3 p-6">
      <h1 className="text-xl font-semibold">This link no longer works</h1>
      <p role="alert">
        It has expired or was revoked, or it is not complete. Open the whole link that you were sent, or ask for a new
        one.
      </p>
    </main>
  );
}

/**
 * The secret of a share, from the address, or after a reload from this tab. It reads one dataset and is known to all who have
 * the link, so it needs no cookie.
 */
function secretOf(id: string): string | undefined {
  const key = `trainyard-share-${id}`;
  const secret = new URLSearchParams(location.hash.slice(1)).get('share');
  if (secret === null) return sessionStorage.getItem(key) ?? undefined;
  sessionStorage.setItem(key, secret);
  history.replaceState(history.state, '', location.pathname + location.search);
  return secret;
}
