import { FileText, Film, ImageIcon, Play } from 'lucide-react';
import { useCallback, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { clockOf } from '../ui/format.js';
import { useLinks } from './dataset.js';
import { Picture } from './picture.js';

interface ThumbnailProps {
  readonly datasetId: string;
  /** `undefined`: a caption without media. */
  readonly file:
    | (Pick<DatasetFile, 'filename' | 'sha256' | 'thumbhash'> & Partial<Pick<DatasetFile, 'kind' | 'duration_seconds'>>)
    | undefined;
  /** The revision that has the file, if the dataset may not have it any more. */
  readonly revision?: number | undefined;
  readonly className?: string;
}

/** The thumbnail of an image or a clip, or an icon if there is none, as for HEIC. A clip plays under the pointer. */
export function Thumbnail({ datasetId, file: current, revision, className = '' }: ThumbnailProps) {
  const links = useLinks(datasetId);
  const [missing, setMissing] = useState<string>();
  const [hovered, setHovered] = useState<string>();
  if (current === undefined) return <FileText size={20} aria-hidden />;
  const file = { ...current, ...(revision !== undefined && { revision }) };
  const isMissing = missing === file.sha256;
  const isHovered = hovered === file.sha256;
  const isClip = file.kind === 'video';
  const Icon = isClip ? Film : ImageIcon;
  // A clip has one if it has a placeholder: the service may have no ffmpeg.
  const hasPicture = !isMissing && (!isClip || file.thumbhash !== undefined);
  const picture = hasPicture ? (
    <span className={`block size-full ${className}`}>
      <Picture url={links?.thumbnail(file)} thumbhash={file.thumbhash} isLazy onError={() => setMissing(file.sha256)} />
    </span>
  ) : (
    <Icon size={20} aria-hidden />
  );
  if (!isClip) return picture;
  return (
    <span
      onPointerEnter={() => setHovered(file.sha256)}
      onPointerLeave={() => setHovered(undefined)}
      className="relative flex size-full items-center justify-center"
    >
      {picture}
      {/* Only then: browsers have few decoders. */}
      {isHovered && links !== undefined && <Clip url={links.file(file)} isPlaying />}
      {!isHovered && <ClipLength seconds={file.duration_seconds} />}
    </span>
  );
}

/** A media fragment: without a start time, some browsers show no frame of a clip before it plays. */
const FIRST_FRAME = '#t=0.001';

interface ClipProps {
  readonly url: string;
  /** Otherwise it shows its first frame. */
  readonly isPlaying: boolean;
  readonly onError?: (() => void) | undefined;
}

/** A clip without sound that fills the element around it. */
export function Clip({ url, isPlaying, onError }: ClipProps) {
  const load = useCallback(
    (video: HTMLVideoElement) => {
      video.src = isPlaying ? url : url + FIRST_FRAME;
      return () => {
        // Releases the decoder, of which browsers have few (https://html.spec.whatwg.org/#best-practices-for-authors-using-media-elements).
        video.removeAttribute('src');
        video.load();
      };
    },
    [url, isPlaying],
  );
  return (
    <video
      ref={load}
      autoPlay={isPlaying}
      preload="metadata"
      muted
      loop
      playsInline
      onError={onError}
      className="absolute inset-0 size-full object-contain"
    />
  );
}

/** A sign on the picture of a clip: that it plays, and for how long. */
export function ClipLength({ seconds }: { seconds: number | undefined }) {
  return (
    <span className="pointer-events-none absolute right-1 bottom-1 flex items-center gap-1 rounded-sm bg-black/75 px-1 text-xs leading-4 font-medium text-white tabular-nums">
      <Play size={9} fill="currentColor" role="img" aria-label="Clip" />
      {seconds !== undefined && clockOf(seconds)}
    </span>
  );
}
