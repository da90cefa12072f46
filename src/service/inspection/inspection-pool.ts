import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { inspect } from '../../dataset/inspect/inspect.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { errorIn } from '../../dataset/problems.js';
import type { BlobContent } from '../../storage/blobs/blobs.js';
import { serveFile } from './serve-file.js';

/** An inspection that takes longer is ended, and the file rejected. */
const MAX_INSPECTION_SECONDS = 600;

/** A remote file gets additional time to be read at this speed. */
const MIN_REMOTE_BYTES_PER_SECOND = 20_000_000;

/** Captions up to this size are inspected in this thread; passing one to a worker and back takes ten times as long. */
const SMALL_CAPTION_BYTES = 64 * 1024;

/** Limits JavaScript memory of a worker. The memory of decoders is limited where they are called. */
const MAX_WORKER_HEAP_MB = 256;

/** Keeps memory low: a larger young generation would collect short-lived read buffers later. */
const MAX_WORKER_YOUNG_MB = 4;

/**
 * Inspects files in worker threads, one per core and each with one file at a time, so that a large or hostile file does not
 * block requests.
 */
export class InspectionPool {
  readonly #pool = new Piscina({
    filename: new URL('../../dataset/inspect/inspect.js', import.meta.url).href,
    minThreads: 0,
    maxThreads: availableParallelism(),
    idleTimeout: 60_000,
    resourceLimits: { maxOldGenerationSizeMb: MAX_WORKER_HEAP_MB, maxYoungGenerationSizeMb: MAX_WORKER_YOUNG_MB },
  });

  #queuedFiles = 0;

  /** @param onError is called when an idle worker dies; the pool replaces it */
  constructor(onError: (error: unknown) => void = () => {}) {
    this.#pool.on('error', onError);
  }

  /**
   * Inspects a file. If the decoder takes too long or runs out of memory, the result is a problem of the file. Rejects with
   * the signal's reason, or if the bytes can't be read.
   */
  async inspect(
    file: { readonly filename: string; readonly sizeBytes: number } & BlobContent,
    { signal }: { accountId: string; signal: AbortSignal },
  ): Promise<Inspection> {
    signal.throwIfAborted();
    const { filename, sizeBytes } = file;
    const isLocal = 'path' in file;
    if (isLocal && sizeBytes <= SMALL_CAPTION_BYTES && mediaTypeOf(filename)?.kind === 'caption') return inspect(file);
    this.#queuedFiles++;
    const stop = new AbortController();
    let hasTimedOut = false;
    const maxSeconds = Math.ceil(MAX_INSPECTION_SECONDS + (isLocal ? 0 : sizeBytes / MIN_REMOTE_BYTES_PER_SECOND));
    const timer = setTimeout(() => {
      hasTimedOut = true;
      stop.abort();
    }, maxSeconds * 1000);
    const onAbort = () => stop.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    const served = isLocal ? undefined : serveFile(file.readAt, { sizeBytes, signal: stop.signal });
    const task = served === undefined ? file : { filename, remote: served.remote };
    const transferList = served === undefined ? [] : [served.remote.port];
    try {
      if (mediaTypeOf(filename)?.kind === 'image') await loadDecoders();
      return await this.#pool.run(task, { name: 'inspect', signal: stop.signal, transferList });
    } catch (error) {
      signal.throwIfAborted();
      const readFailure = served?.failure();
      if (readFailure !== undefined && !hasTimedOut) throw readFailure.error;
      if (!hasTimedOut && !isOutOfMemory(error)) throw error;
      const reason = hasTimedOut ? `took more than ${maxSeconds} s` : 'ran out of memory';
      const message = `The inspection of ${filename} ${reason}, so the file may be damaged. Export it again and upload the new file.`;
      return { ok: false, problem: errorIn(filename, 'INSPECTION_FAILED', message) };
    } finally {
      served?.close();
      this.#queuedFiles--;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Makes a WebP of the image at `path`, with a longest side of `maxPixels`. Rejects if the image can't be decoded. */
  async thumbnail(path: string, maxPixels: number): Promise<Buffer> {
    await loadDecoders();
    const filename = new URL('../../dataset/inspect/image/thumbnail.js', import.meta.url).href;
    return Buffer.from(await this.#pool.run({ path, maxPixels }, { filename, name: 'makeThumbnail' }));
  }

  /** The number of files that are being inspected or wait for a worker. */
  get queuedFiles(): number {
    return this.#queuedFiles;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

let decoders: Promise<unknown> | undefined;

/** Restricts the formats that decoders open, for all threads, before the first one decodes. Loaded lazily: clips need none. */
function loadDecoders(): Promise<unknown> {
  decoders ??= import('../../dataset/inspect/image/decode.js');
  return decoders;
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
}
