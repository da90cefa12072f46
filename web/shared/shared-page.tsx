import { useMemo, useState } from 'react';
import { Router } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { CaptionsView } from '../captions/captions-view.js';
import { DatasetViews, type DatasetViewsByName } from '../dataset/dataset-views.js';
import { isGone, useDataset, useLinks } from '../live/dataset.js';
import { contentsOf } from '../live/datasets.js';
import { Live } from '../live/live.js';
import { PairsView } from '../pairs/pairs-view.js';
import { ClientProvider } from '../session/client.js';
import { messageOf, sizeOf } from '../ui/format.js';
import { AddFilesProvider } from '../upload/add-files/add-files.js';

const VIEWS: DatasetViewsByName = {
  files: { label: 'Files', show: (dataset) => <PairsView dataset={dataset} /> },
  captions: {
    label: 'Captions',
    isFor: ({ role }) => role === 'training',
    show: (dataset) => <CaptionsView dataset={dataset} />,
  },
};

/** A dataset as a share link shows it: its current files, to a person without an account. A session of the browser is untouched. */
export function SharedPage({ id, view }: { id: string; view: string }) {
  const [secret] = useState(() => secretOf(id));
  const [reason, setReason] = useState<string>();
  if (secret === undefined || reason !== undefined) return <Ended />;
  return (
    <ClientProvider token={secret} onUnauthorized={setReason}>
      <Router base="/shared">
        <Live />
        <AddFilesProvider>
          <main className="flex min-h-dvh w-full flex-col gap-4 p-4">
            <SharedDataset id={id} view={view} />
          </main>
        </AddFilesProvider>
      </Router>
    </ClientProvider>
  );
}

function SharedDataset({ id, view }: { id: string; view: string }) {
  const { data: dataset, error } = useDataset(id);
  const links = useLinks(id);
  const alone = useMemo(() => dataset && withoutLinks(dataset), [dataset]);
  if (isGone(error)) return <p role="alert">This dataset was deleted.</p>;
  if (dataset === undefined || alone === undefined) {
    return error === null ? <p aria-live="polite">Loading …</p> : <p role="alert">{messageOf(error)}</p>;
  }
  return (
    <>
      <header className="flex flex-wrap items-center gap-3">
        <h1 className="text-xl font-semibold break-all">{dataset.name}</h1>
        <span className="text-sm text-muted">{[...contentsOf(dataset), sizeOf(dataset.size_bytes)].join(' · ')}</span>
        {links !== undefined && dataset.files.length > 0 && (
          <a
            href={links.zip()}
            download
            className="ml-auto touch content-center rounded-lg border border-line bg-panel px-3 py-1.5 text-sm font-medium hover:bg-raised"
          >
            Download all files
          </a>
        )}
      </header>
      <p className="text-sm text-muted">
        Shared with you to look at and to download. You can't change it.
        {dataset.links !== undefined && ' It is trained with controls or masks, which are not shared.'}
      </p>
      <DatasetViews views={VIEWS} dataset={alone} current={view} />
    </>
  );
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
