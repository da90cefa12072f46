import { readFile } from 'node:fs/promises';
import type { StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { VideoFormat } from '../../dataset/media.js';
import { fetchIntact } from '../check.js';
import type { ServiceDependencies } from '../dependencies.js';
import { clipFrames } from '../inspection/clip/clip-pictures.js';
import type { Ffmpeg } from '../inspection/clip/ffmpeg.js';
import type { InspectionPool } from '../inspection/inspection-pool.js';
import type { CaptionEndpoint, ModelQuestion } from './model-client.js';

/** Larger clips are sent as frames: the request is in memory as a whole. */
const MAX_CLIP_BYTES = 32_000_000;

/** What a model is shown of a file. */
export type Shown = Pick<ModelQuestion, 'pictures' | 'clip'> & { readonly note?: string };

/** For a file that can't be shown; the message says why. */
export class NotShown extends Error {
  override readonly name = 'NotShown';
}

export interface PictureParts {
  readonly pool: InspectionPool;
  readonly ffmpeg: () => Promise<Ffmpeg | undefined>;
  readonly blobs: ServiceDependencies['blobs'];
}

/** Makes the pictures of an image or a clip. @throws NotShown; the signal's reason; errors that a later attempt may not have */
export async function shownOf(
  { pool, ffmpeg, blobs }: PictureParts,
  file: StoredFile,
  {
    endpoint,
    count,
    accountId,
    signal,
  }: { endpoint: CaptionEndpoint; count: number; accountId: string; signal: AbortSignal },
): Promise<Shown> {
  const fetched = await fetchIntact(blobs, file, { accountId, signal });
  if ('problem' in fetched) throw new NotShown(fetched.problem.message);
  const { path } = fetched.blob.content;
  const { facts, contentType, sizeBytes } = file.upload;
  try {
    if (facts.kind !== 'video') {
      const jpeg = await pool.picture({ path, maxPixels: endpoint.longestSide }, { accountId, signal });
      return { pictures: [jpeg] };
    }
    if (endpoint.video === 'url' && endpoint.dialect === 'openai' && sizeBytes <= MAX_CLIP_BYTES) {
      return { pictures: [], clip: `data:${contentType};base64,${await readFile(path, 'base64')}` };
    }
    const found = await ffmpeg();
    if (found === undefined) throw new NotShown('The server has no ffmpeg, which makes the frames of clips.');
    const { durationSeconds = 1, format } = facts;
    const clip = { path, format: format as VideoFormat, durationSeconds };
    const made = await clipFrames({ ffmpeg: found, pool }, clip, { count, accountId, signal });
    if (made === undefined) throw new NotShown('No frame of it can be decoded.');
    return {
      pictures: made.frames.map((jpeg) => jpeg.toString('base64')),
      note: `The pictures are frames of one clip, at ${made.times.join(', ')} s.`,
    };
  } catch (error) {
    signal.throwIfAborted();
    // The server stops, or can't start a process.
    if (error instanceof ServiceError || error instanceof NotShown) throw error;
    throw new NotShown(error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    await fetched.blob.discard();
  }
}
