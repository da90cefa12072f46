import { ImageIcon } from 'lucide-react';
import { useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { useLinks } from './dataset.js';

interface ThumbnailProps {
  readonly datasetId: string;
  /** With `revision`: as it was in that revision. */
  readonly file: Pick<DatasetFile, 'filename' | 'sha256'> & { readonly revision?: number };
  readonly className?: string;
}

/** The thumbnail of an image, or an icon if there is none, as for HEIC. */
export function Thumbnail({ datasetId, file, className = '' }: ThumbnailProps) {
  const links = useLinks(datasetId);
  const [isMissing, setMissing] = useState(false);
  if (links === undefined || isMissing) return <ImageIcon size={20} aria-hidden />;
  return (
    <img
      src={links.thumbnail(file)}
      alt=""
      loading="lazy"
      decoding="async"
      onError={() => setMissing(true)}
      className={`size-full object-contain ${className}`}
    />
  );
}
