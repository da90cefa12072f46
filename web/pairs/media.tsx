import { FileText, Film, ImageIcon } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { useLinks } from '../live/dataset.js';
import { Picture } from '../live/picture.js';
import { Clip, ClipLength } from '../live/thumbnail.js';
import { isShownByBrowsers } from './media-facts.js';

/** The wait after the last scroll event, so that cards that only scroll past request no preview. */
const SCROLL_PAUSE_MS = 60;

interface PreviewProps {
  readonly datasetId: string;
  readonly file: DatasetFile;
  /** Whether a clip plays; otherwise it shows its first frame. */
  readonly isPlaying: boolean;
}

/** The preview on a card: the thumbnail, or without one a BMP itself and the first frame of a clip. */
export function Preview({ datasetId, file, isPlaying }: PreviewProps) {
  const links = useLinks(datasetId);
  const canLoad = useScrollPause();
  const [broken, setBroken] = useState<string>();
  const isClip = file.kind === 'video';
  // The service makes none of a BMP, which browsers display themselves, and of clips only with ffmpeg.
  const hasThumbnail = isClip ? file.thumbhash !== undefined : file.format !== 'bmp';
  if (hasNoPreview(file) && !(isClip && hasThumbnail)) return <Placeholder file={file} />;
  const loaded = (url: string | undefined) => (canLoad ? url : undefined);
  const pictureUrl = loaded(hasThumbnail ? links?.thumbnail(file) : links?.file(file));
  if (broken !== undefined && broken === pictureUrl) return <Placeholder file={file} />;
  const onError = () => setBroken(pictureUrl);
  const picture = (!isClip || hasThumbnail) && (
    <Picture url={pictureUrl} thumbhash={file.thumbhash} onError={onError} />
  );
  if (!isClip) return picture;
  const url = loaded(links?.file(file));
  const showsClip = url !== undefined && !hasNoPreview(file) && (isPlaying || !hasThumbnail);
  return (
    <span className="relative block size-full">
      {picture}
      {showsClip && <Clip {...{ url, isPlaying, onError: hasThumbnail ? undefined : onError }} />}
      {!isPlaying && <ClipLength seconds={file.duration_seconds} />}
    </span>
  );
}

/** Whether browsers can't display the file, and its original can't be shown in another way. */
export function hasNoPreview(file: DatasetFile): boolean {
  return !isShownByBrowsers(file) && (file.kind === 'video' || file.format === 'heic');
}

/** An icon and a text in place of a file that this browser can't display, or of missing media. */
export function Placeholder({ file, children }: { file: DatasetFile | undefined; children?: ReactNode }) {
  const Icon = file === undefined ? FileText : file.kind === 'video' ? Film : ImageIcon;
  return (
    <span className="flex size-full flex-col items-center justify-center gap-1 p-2 text-center text-sm text-muted">
      <Icon size={28} strokeWidth={1.5} aria-hidden />
      {file === undefined ? 'Caption without media' : `No preview of ${formatOf(file)}`}
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
  // Captured, so that it runs before a component renders because of the scroll.
  { capture: true, passive: true },
);

/** Becomes true once the page has not scrolled for `SCROLL_PAUSE_MS`, and stays true. */
function useScrollPause(): boolean {
  const [hasPaused, setPaused] = useState(() => performance.now() - scrolledAt > SCROLL_PAUSE_MS);
  useEffect(() => {
    if (hasPaused) return;
    const timer = setTimeout(() => setPaused(true), SCROLL_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [hasPaused]);
  return hasPaused;
}
