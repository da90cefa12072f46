import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Film, ImageIcon, Images } from 'lucide-react';
import { useState } from 'react';
import type { Dataset } from '../../src/client/client.js';
import { Picture } from '../live/picture.js';
import { useClient } from '../session/client.js';

const MAX_IMAGES = 6;

/** The service issues links that are valid for an hour or longer. */
const LINKS_MS = 30 * 60_000;

/** The first images of a dataset. Fetches nothing before `canLoad`, so that cards that only scroll past cause no requests. */
export function ThumbnailStrip({ dataset, canLoad }: { dataset: Dataset; canLoad: boolean }) {
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
