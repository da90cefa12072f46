import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Film, ImageIcon, Images } from 'lucide-react';
import { useState } from 'react';
import type { Dataset } from '../../src/client/client.js';
import { useClient } from '../session/client.js';

const SHOWN = 6;

/** Links hold for an hour at the least. */
const LINKS_MS = 30 * 60_000;

/** The first few images of a dataset. Asked for once `isCalm`: what only flies past costs nothing. */
export function ThumbnailStrip({ dataset, isCalm }: { dataset: Dataset; isCalm: boolean }) {
  const client = useClient();
  const { id, counts, status, updated_at } = dataset;
  // While files arrive, it is asked for again only as long as there is still room for more.
  const state = status === 'UPLOADING' ? Math.min(counts.images, SHOWN) : updated_at;
  const { data: urls } = useQuery({
    queryKey: ['strip', id, state],
    queryFn: async ({ signal }) => {
      const [{ files }, links] = await Promise.all([
        client.files(id, { limit: SHOWN, kind: 'image' }, { signal }),
        client.links(id, { signal }),
      ]);
      return files.map((file) => links.thumbnail(file));
    },
    enabled: counts.images > 0 && isCalm,
    staleTime: LINKS_MS,
    placeholderData: keepPreviousData,
  });
  const shared = 'h-24 shrink-0 overflow-hidden rounded-t-xl bg-raised text-muted';
  if (counts.images === 0) {
    const [Icon, words] = counts.videos > 0 ? [Film, 'Clips only'] : [Images, 'No images yet'];
    return (
      <div className={`flex items-center justify-center gap-2 text-sm ${shared}`}>
        <Icon size={18} aria-hidden /> {words}
      </div>
    );
  }
  const places = Math.min(counts.images, SHOWN);
  return (
    <div className={`grid gap-px ${shared} ${places > 3 ? 'grid-cols-6' : 'grid-cols-3'}`}>
      {Array.from({ length: places }, (_, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the places stay, whatever is in them
        <Thumbnail key={place} url={urls?.[place]} />
      ))}
    </div>
  );
}

function Thumbnail({ url }: { url: string | undefined }) {
  const [missing, setMissing] = useState<string>();
  if (url === undefined) return <span />;
  // Of some types, such as HEIC, there are no thumbnails.
  if (missing === url) return <ImageIcon size={18} className="m-auto" aria-hidden />;
  return (
    <img
      src={url}
      alt=""
      decoding="async"
      onError={() => setMissing(url)}
      className="size-full min-h-0 min-w-0 object-cover"
    />
  );
}
