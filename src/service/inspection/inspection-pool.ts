import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { inspect } from '../../dataset/inspect/inspect.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { errorIn } from '../../dataset/problems.js';
import type { BlobContent } from '../../storage/blobs/blobs.js';
import { serveFile } from './serve-file.js';

/** A file that keeps a decoder busy for longer is not what it claims to be. */
const MAX_INSPECTION_SECONDS = 600;

/** What lies elsewhere may have to be read from one end to the other, at least so fast. */
const REMOTE_BYTES_PER_SECOND = 20_000_000;

/** Read in a tenth of the time that the way to a thread and back takes. */
const SMALL_CAPTION_BYTES = 64 * 1024;

/** JavaScript memory of one worker; what decoders take beyond it is bounded where they are called. */
const MAX_WORKER_HEAP_MB = 256;

/** Read windows come and go; a large nursery would only let them pile up. */
const MAX_WORKER_YOUNG_MB = 4;

/**
 * Looks at files beside the request loop: one worker thread per core, each with one file at a time, so that neither a
 * large file nor a hostile one ever makes other requests wait.
 */
export class InspectionPool {
  readonly #pool = new Piscina({
    filename: new URL('../../dataset/inspect/inspect.js', import.meta.url).href,
    minThreads: 0,
    maxThreads: availableParallelism(),
    idleTimeout: 60_000,
    resourceLimits: { maxOldGenerationSizeMb: MAX_WORKER_HEAP_MB, maxYoungGenerationSizeMb: MAX_WORKER_YOUNG_MB },
  });

  #load = 0;

  /** @param onError told of a worker that died with no file in its hands; the pool makes another */
  constructor(onError: (error: unknown) => void = () => {}) {
    this.#pool.on('error', onError);
  }

  /**
   * A file that a decoder hangs or dies on is refused, not an accident of ours; rejects only with the signal's reason,
   * or where the bytes can't be read.
   */
  async inspect(
    file: { readonly filename: string; readonly sizeBytes: number } & BlobContent,
    signal: AbortSignal,
  ): Promise<Inspection> {
    signal.throwIfAborted();
    const { filename, sizeBytes } = file;
    const isHere = 'path' in file;
    if (isHere && sizeBytes <= SMALL_CAPTION_BYTES && mediaTypeOf(filename)?.kind === 'caption') return inspect(file);
    this.#load++;
    const stop = new AbortController();
    let tookTooLong = false;
    const maxSeconds = Math.ceil(MAX_INSPECTION_SECONDS + (isHere ? 0 : sizeBytes / REMOTE_BYTES_PER_SECOND));
    const timer = setTimeout(() => {
      tookTooLong = true;
      stop.abort();
    }, maxSeconds * 1000);
    const onAbort = () => stop.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    const served = isHere ? undefined : serveFile(file.readAt, { sizeBytes, signal: stop.signal });
    const task = served === undefined ? file : { filename, remote: served.remote };
    const transferList = served === undefined ? [] : [served.remote.port];
    try {
      if (mediaTypeOf(filename)?.kind === 'image') await readyToDecode();
      return await this.#pool.run(task, { name: 'inspect', signal: stop.signal, transferList });
    } catch (error) {
      signal.throwIfAborted();
      const unreadable = served?.failure();
      if (unreadable !== undefined && !tookTooLong) throw unreadable.error;
      if (!tookTooLong && !isWorkerDeath(error)) throw error;
      const reason = tookTooLong ? `took more than ${maxSeconds} s` : 'broke off';
      const message = `The inspection of ${filename} ${reason}, so the file may be damaged. Export it again and upload that.`;
      return { ok: false, problem: errorIn(filename, 'INSPECTION_FAILED', message) };
    } finally {
      served?.close();
      this.#load--;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** A WebP of the image at `path`, its longest side `maxPixels`. Rejects where there is no picture to show. */
  async thumbnail(path: string, maxPixels: number): Promise<Buffer> {
    await readyToDecode();
    const filename = new URL('../../dataset/inspect/image/thumbnail.js', import.meta.url).href;
    return Buffer.from(await this.#pool.run({ path, maxPixels }, { filename, name: 'makeThumbnail' }));
  }

  /** How many files are being looked at or wait for it. */
  get queuedFiles(): number {
    return this.#load;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

let decoders: Promise<unknown> | undefined;

/** Chooses what decoders may open, for all threads and before any of them decodes. Not earlier: a clip needs none of it. */
function readyToDecode(): Promise<unknown> {
  decoders ??= import('../../dataset/inspect/image/decode.js');
  return decoders;
}

function isWorkerDeath(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
}
