import { useLayoutEffect, useRef, useState } from 'react';
import { thumbHashToRGBA } from 'thumbhash';

interface PictureProps {
  /** `undefined` while it can't be loaded yet. */
  readonly url: string | undefined;
  readonly thumbhash: string | undefined;
  readonly onError: () => void;
  readonly isLazy?: boolean;
  readonly className?: string;
}

/** A small image. Until it is loaded, the picture of its ThumbHash is in its place, at once and without a request. */
export function Picture({ url, thumbhash, onError, isLazy = false, className = 'object-contain' }: PictureProps) {
  const image = useRef<HTMLImageElement>(null);
  const [loadedUrl, setLoadedUrl] = useState<string>();
  useLayoutEffect(() => {
    const element = image.current;
    if (element === null || url === undefined) return;
    element.src = url;
    // Cancels the request, so that visible cards get its connection.
    return () => element.removeAttribute('src');
  }, [url]);
  // A transparent image would show it.
  const isPlaceholderShown = thumbhash !== undefined && (url === undefined || loadedUrl !== url);
  return (
    <span className="grid size-full min-h-0 min-w-0 grid-cols-[100%] grid-rows-[100%] *:size-full *:[grid-area:1/1]">
      {isPlaceholderShown && <ThumbHash thumbhash={thumbhash} className={className} />}
      {url !== undefined && (
        <img
          ref={image}
          alt=""
          loading={isLazy ? 'lazy' : 'eager'}
          decoding="async"
          draggable={false}
          onLoad={() => setLoadedUrl(url)}
          onError={onError}
          className={className}
        />
      )}
    </span>
  );
}

/** The blurred picture that a ThumbHash of 25 bytes describes (https://evanw.github.io/thumbhash). */
function ThumbHash({ thumbhash, className }: { thumbhash: string; className: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  // Before the browser paints, so that the card is never empty. The content security policy forbids data: URLs.
  useLayoutEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const { w, h, rgba } = thumbHashToRGBA(Uint8Array.from(atob(thumbhash), (byte) => byte.charCodeAt(0)));
    element.width = w;
    element.height = h;
    element.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(rgba), w, h), 0, 0);
  }, [thumbhash]);
  return <canvas ref={canvas} aria-hidden className={className} />;
}
