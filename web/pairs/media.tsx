import { FileText, Film, ImageIcon } from 'lucide-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { useLinks } from '../live/dataset.js';
import { isShownByBrowsers } from './media-facts.js';

/** What only flies past while somebody scrolls is not asked for. */
const CALM_MS = 60;

/** Its first frame shows in browsers that show none before a clip has been played. */
const FIRST_FRAME = '#t=0.001';

interface PreviewProps {
  readonly datasetId: string;
  readonly file: DatasetFile;
  /** Of a clip, which is still otherwise. */
  readonly isPlaying: boolean;
}

/** A file as it is on its card: an image by its thumbnail, a clip by its first frame. */
export function Preview({ datasetId, file, isPlaying }: PreviewProps) {
  const links = useLinks(datasetId);
  const isCalm = useCalm();
  const [broken, setBroken] = useState<string>();
  if (isPlaceheld(file)) return <Placeholder file={file} />;
  if (links === undefined || !isCalm) return null;
  // Of a BMP the service makes no thumbnail, and a browser needs none.
  const url = file.kind === 'image' && file.format !== 'bmp' ? links.thumbnail(file) : links.file(file);
  if (broken === url) return <Placeholder file={file} />;
  return file.kind === 'video' ? (
    <Clip url={url} isPlaying={isPlaying} onError={() => setBroken(url)} />
  ) : (
    <Image key={url} url={url} onError={() => setBroken(url)} />
  );
}

/** Images of which neither browsers nor the service's thumbnails show anything, and clips that browsers don't play. */
function isPlaceheld(file: DatasetFile): boolean {
  return !isShownByBrowsers(file) && (file.kind === 'video' || file.format === 'heic');
}

function Image({ url, onError }: { url: string; onError: () => void }) {
  const image = useRef<HTMLImageElement>(null);
  useEffect(() => {
    const element = image.current;
    if (element === null) return;
    element.src = url;
    // Nobody waits for it any more: the connection is for those that are in sight.
    return () => element.removeAttribute('src');
  }, [url]);
  return (
    <img ref={image} alt="" decoding="async" draggable={false} onError={onError} className="size-full object-contain" />
  );
}

function Clip({ url, isPlaying, onError }: { url: string; isPlaying: boolean; onError: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    element.src = url + FIRST_FRAME;
    return () => {
      // Browsers have few decoders, and give one back no sooner (https://html.spec.whatwg.org/#best-practices-for-authors-using-media-elements).
      element.removeAttribute('src');
      element.load();
    };
  }, [url]);
  useEffect(() => {
    const element = video.current;
    if (element === null || !isPlaying) return;
    // It is refused where the pointer has left before anything was there to play.
    element.play().catch(() => {});
    return () => {
      element.pause();
      element.currentTime = 0;
    };
  }, [isPlaying]);
  return (
    <video
      ref={video}
      preload="metadata"
      muted
      loop
      playsInline
      onError={onError}
      className="size-full object-contain"
    />
  );
}

/** What stands where a file is that this browser can't show. */
export function Placeholder({ file, children }: { file: DatasetFile | undefined; children?: ReactNode }) {
  const Icon = file === undefined ? FileText : file.kind === 'video' ? Film : ImageIcon;
  return (
    <span className="flex size-full flex-col items-center justify-center gap-1 p-2 text-center text-sm text-muted">
      <Icon size={28} strokeWidth={1.5} aria-hidden />
      {file === undefined ? 'Caption without image or clip' : `No preview of ${formatOf(file)}`}
      {children}
    </span>
  );
}

export function formatOf({ filename, format }: DatasetFile): string {
  return (format ?? filename.slice(filename.lastIndexOf('.') + 1)).toUpperCase();
}

let scrolledAt = Number.NEGATIVE_INFINITY;
addEventListener(
  'scroll',
  () => {
    scrolledAt = performance.now();
  },
  // Before anything is drawn for it.
  { capture: true, passive: true },
);

function useCalm(): boolean {
  const [isCalm, setCalm] = useState(() => performance.now() - scrolledAt > CALM_MS);
  useEffect(() => {
    if (isCalm) return;
    const timer = setTimeout(() => setCalm(true), CALM_MS);
    return () => clearTimeout(timer);
  }, [isCalm]);
  return isCalm;
}
