import { useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { useLinks } from '../../live/dataset.js';
import { Placeholder } from '../media.js';
import { isShownByBrowsers } from '../media-facts.js';

interface FullProps {
  readonly datasetId: string;
  readonly file: DatasetFile;
  /** Beside or over another picture: a clip is then muted and, without controls, lets clicks through. */
  readonly isCompared?: boolean;
  /** Stretches the picture to its frame. */
  readonly isStretched?: boolean;
}

/** A file in full size. */
export function Full({ datasetId, file, isCompared = false, isStretched = false }: FullProps) {
  const links = useLinks(datasetId);
  const [isBroken, setBroken] = useState(false);
  // Images that browsers can't display are shown as thumbnails.
  const isDisplayable = isShownByBrowsers(file);
  if (links === undefined) return null;
  if (isBroken || (!isDisplayable && file.kind === 'video')) {
    return (
      <Placeholder file={file}>
        <span>This browser can't display this file. Download it to see it.</span>
      </Placeholder>
    );
  }
  const onError = () => setBroken(true);
  const fit = isStretched ? 'object-fill' : 'object-contain';
  if (file.kind === 'video') {
    return (
      <video
        src={links.file(file)}
        aria-label={file.filename}
        controls={!isCompared}
        muted={isCompared}
        autoPlay
        loop
        playsInline
        onError={onError}
        className={`size-full ${fit}`}
      />
    );
  }
  return (
    <img
      src={isDisplayable ? links.file(file) : links.thumbnail(file)}
      alt={file.filename}
      onError={onError}
      className={`size-full ${fit}`}
    />
  );
}
