import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Ellipsis, Film, ImageIcon, Images, Layers, Pencil, Share2, Trash2 } from 'lucide-react';
import { memo, useState } from 'react';
import { Link } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import { ProgressBar } from '../ui/progress-bar.js';
import { RelativeTime } from './relative-time.js';
import { contentsOf } from '../live/datasets.js';
import { Picture } from '../live/picture.js';
import { RoleBadge } from '../roles/role-choice.js';
import { useClient } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { Button } from '../ui/button.js';
import { countOf, numberOf, sizeOf } from '../ui/format.js';
import { Menu } from '../ui/menu.js';
import { StatusBadge } from '../ui/status-badge.js';

/** All cards have this height, so that the grid can lay out thousands and render only the visible ones. */
export const DATASET_CARD_HEIGHT_REM = 15.5;

/** As above, in a list where controls or masks stand on the cards of their targets. */
export const HEIGHT_WITH_LINKED_REM = 17.25;

/** What can be done with a dataset of the list. */
export type DatasetVerb = 'settings' | 'share' | 'delete';

interface DatasetCardProps {
  readonly dataset: Dataset;
  /** Its controls and its mask, which have no card of their own. */
  readonly linked: readonly Dataset[];
  /** False while the list scrolls; thumbnails then wait. */
  readonly canLoad: boolean;
  readonly onVerb: (verb: DatasetVerb, dataset: Dataset) => void;
}

/** A dataset in the list. The whole card is a link to its page. */
export const DatasetCard = memo(function DatasetCard({ dataset, linked, canLoad, onVerb }: DatasetCardProps) {
  const { id, name, role, status, counts, size_bytes, updated_at } = dataset;
  const isEmpty = counts.images + counts.videos + counts.captions === 0;
  return (
    <article className="group relative flex h-full flex-col rounded-xl border border-line bg-panel hover:border-accent">
      <ThumbnailStrip dataset={dataset} canLoad={canLoad} />
      <div className="flex min-h-0 grow flex-col gap-1 px-4 pt-3 pb-1.5">
        <div className="flex items-center gap-2">
          <h2 className="min-w-0 grow truncate font-semibold" title={name}>
            <Link href={`/datasets/${id}`} className="py-1 after:absolute after:inset-0 after:rounded-xl">
              {name}
            </Link>
          </h2>
          <StatusBadge status={status} />
        </div>
        <p className="flex items-center gap-2 text-sm text-muted">
          <span className="min-w-0 grow truncate">{isEmpty ? 'No files yet' : contentsOf(dataset).join(' · ')}</span>
          <RoleBadge role={role} />
        </p>
        <p className="truncate text-sm text-muted">
          {size_bytes > 0 && `${sizeOf(size_bytes)} · `}
          <RelativeTime time={updated_at} />
        </p>
        {linked.length > 0 && <Linked datasets={linked} />}
        <div className="-mr-2.5 flex min-h-0 grow items-end gap-2 text-sm">
          <div className="min-w-0 grow self-start">
            <State dataset={dataset} />
          </div>
          <Menu label={`More for ${name}`} icon={<Ellipsis size={16} aria-hidden />}>
            <WriteButton icon={Pencil} onClick={() => onVerb('settings', dataset)}>
              Name and role
            </WriteButton>
            <Button icon={Share2} onClick={() => onVerb('share', dataset)}>
              Share
            </Button>
            <WriteButton icon={Trash2} onClick={() => onVerb('delete', dataset)} className="text-bad">
              Delete
            </WriteButton>
          </Menu>
        </div>
      </div>
    </article>
  );
});

/** The controls and the mask of a training dataset, in one line. */
function Linked({ datasets }: { datasets: readonly Dataset[] }) {
  return (
    <ul aria-label="Controls and mask" className="flex min-h-7 gap-x-3 overflow-hidden text-sm">
      {datasets.map(({ id, name, role, status }) => (
        <li key={id} className="relative flex min-w-0 items-center gap-1">
          <Layers size={14} className="shrink-0 text-muted" aria-hidden />
          <Link
            href={`/datasets/${id}`}
            title={`${role}: ${name}`}
            className={`truncate py-0.5 hover:underline ${status === 'FAILED' ? 'text-bad' : 'text-muted'}`}
          >
            {name}
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** The error of a FAILED dataset, or the progress of an UPLOADING one. */
function State({ dataset }: { dataset: Dataset }) {
  const { status, error, counts } = dataset;
  if (status === 'FAILED' && error !== undefined) {
    return (
      <p className="line-clamp-2 text-bad wrap-anywhere" title={error.message}>
        {error.message}
      </p>
    );
  }
  if (status !== 'UPLOADING') return null;
  const uploaded = counts.images + counts.videos + counts.captions;
  if (counts.pending === 0) {
    return <p className="truncate text-busy">{waitingTextOf(counts)}</p>;
  }
  return (
    <div className="flex items-center gap-2 whitespace-nowrap text-busy">
      <ProgressBar label={`Uploaded files of ${dataset.name}`} total={uploaded + counts.pending} uploaded={uploaded} />
      {numberOf(uploaded)} of {numberOf(uploaded + counts.pending)}
    </div>
  );
}

function waitingTextOf({ checking, uncaptioned, unpaired }: Dataset['counts']): string {
  if (checking > 0) return `Checking ${countOf(checking, 'file')}`;
  if (uncaptioned > 0) return `Waiting for ${countOf(uncaptioned, 'caption')}`;
  return unpaired > 0 ? 'Waiting for controls or masks' : 'Waiting for more files';
}

const MAX_IMAGES = 6;

/** The service issues links that are valid for an hour or longer. */
const LINKS_MS = 30 * 60_000;

/** The first images of a dataset. Fetches nothing before `canLoad`, so that cards that only scroll past cause no requests. */
function ThumbnailStrip({ dataset, canLoad }: { dataset: Dataset; canLoad: boolean }) {
  const client = useClient();
  const { id, counts, status, updated_at } = dataset;
  // During an upload, fetches again only until the strip is full.
  const version = status === 'UPLOADING' ? Math.min(counts.images, MAX_IMAGES) : updated_at;
  const { data: images } = useQuery({
    queryKey: ['strip', id, version],
    queryFn: async ({ signal }) => {
      const [{ files }, links] = await Promise.all([
        client.files(id, { limit: MAX_IMAGES, kind: 'image' }, { signal }),
        client.downloadLinks(id, { signal }),
      ]);
      return files.map((file) => ({ url: links.thumbnail(file), thumbhash: file.thumbhash }));
    },
    enabled: counts.images > 0 && canLoad,
    staleTime: LINKS_MS,
    placeholderData: keepPreviousData,
  });
  const shared = 'h-24 shrink-0 overflow-hidden rounded-t-xl bg-raised text-muted';
  if (counts.images === 0) {
    const [Icon, text] = counts.videos > 0 ? [Film, 'Clips only'] : [Images, 'No images yet'];
    return (
      <div className={`flex items-center justify-center gap-2 text-sm ${shared}`}>
        <Icon size={18} aria-hidden /> {text}
      </div>
    );
  }
  const count = Math.min(counts.images, MAX_IMAGES);
  return (
    <div className={`grid gap-px ${shared} ${count > 3 ? 'grid-cols-6' : 'grid-cols-3'}`}>
      {Array.from({ length: count }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: an image never moves to another index
        <StripImage key={index} {...images?.[index]} />
      ))}
    </div>
  );
}

function StripImage({ url, thumbhash }: { url?: string; thumbhash?: string | undefined }) {
  const [failedUrl, setFailedUrl] = useState<string>();
  if (url === undefined) return <span />;
  // The service makes no thumbnails of some types, such as HEIC.
  if (failedUrl === url) return <ImageIcon size={18} className="m-auto" aria-hidden />;
  return <Picture {...{ url, thumbhash }} onError={() => setFailedUrl(url)} className="object-cover" />;
}
