import { useEffect, useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { useLinks } from '../../live/dataset.js';
import { Button } from '../../ui/button.js';
import { hasNoPreview, Placeholder } from '../media.js';
import { isShownByBrowsers } from '../media-facts.js';

interface FullProps {
  readonly datasetId: string;
  readonly file: DatasetFile;
  /** Beside or over another picture: a clip is then muted and, without controls, lets clicks through. */
  readonly isCompared?: boolean;
  /** Stretches the picture to its frame. */
  readonly isStretched?: boolean;
}

/** A file in full size. Until an image is loaded, its thumbnail is in its place. */
export function Full({ datasetId, file, isCompared = false, isStretched = false }: FullProps) {
  const links = useLinks(datasetId);
  const [{ isBroken, isLoaded }, setState] = useState({ isBroken: false, isLoaded: false });
  // Images that browsers can't display are shown as thumbnails.
  const isDisplayable = isShownByBrowsers(file);
  if (links === undefined) return null;
  if (isBroken || hasNoPreview(file)) {
    return (
      <Placeholder file={file}>
        <span>
          {isDisplayable
            ? 'It could not be loaded. The service may be out of reach, or this browser can’t display it.'
            : "This browser can't display this file. Download it to see it."}
        </span>
        {isBroken && <Button onClick={() => setState({ isBroken: false, isLoaded: false })}>Try again</Button>}
      </Placeholder>
    );
  }
  const onError = () => setState({ isBroken: true, isLoaded: false });
  const [fit, size] = isStretched ? ['object-fill', '100% 100%'] : ['object-contain', 'contain'];
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
      draggable={false}
      onError={onError}
      onLoad={() => setState({ isBroken: false, isLoaded: true })}
      // The thumbnail would show through a transparent image.
      style={
        isLoaded
          ? undefined
          : { background: `center / ${size} no-repeat url(${JSON.stringify(links.thumbnail(file))})` }
      }
      className={`size-full ${fit}`}
    />
  );
}

/** Loads images before they are shown. */
export function usePreloaded(datasetId: string, files: readonly (DatasetFile | undefined)[]): void {
  const links = useLinks(datasetId);
  const urls = files.flatMap((file) =>
    links !== undefined && file?.kind === 'image' && isShownByBrowsers(file) ? links.file(file) : [],
  );
  const key = urls.join(' ');
  useEffect(() => {
    const images = key
      .split(' ')
      .filter(Boolean)
      .map((url) => Object.assign(new Image(), { src: url }));
    // Leaves the connection to the pictures that are shown next.
    return () => {
      for (const image of images) image.removeAttribute('src');
    };
  }, [key]);
}
