import { ImageIcon } from 'lucide-react';
import { useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { useLinks } from './dataset.js';
import { Picture } from './picture.js';

interface ThumbnailProps {
  readonly datasetId: string;
  /** With `revision`: as it was in that revision. */
  readonly file: Pick<DatasetFile, 'filename' | 'sha256' | 'thumbhash'> & { readonly revision?: number };
  readonly className?: string;
}

/** The thumbnail of an image, or an icon if there is none, as for HEIC. */
export function Thumbnail({ datasetId, file, className = '' }: ThumbnailProps) {
  const links = useLinks(datasetId);
  const [isMissing, setMissing] = useState(false);
  if (isMissing) return <ImageIcon size={20} aria-hidden />;
  return (
    <span className={`block size-full ${className}`}>
      <Picture url={links?.thumbnail(file)} thumbhash={file.thumbhash} isLazy onError={() => setMissing(true)} />
    </span>
  );
}
