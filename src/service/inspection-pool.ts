import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import type { Inspection } from '../dataset/inspect/inspection.js';
import { errorIn } from '../dataset/problems.js';

/** A file that keeps a decoder busy for longer is not what it claims to be. */
const MAX_INSPECTION_SECONDS = 600;

/** JavaScript memory of one worker; what decoders take beyond it is bounded where they are called. */
const MAX_WORKER_HEAP_MB = 256;

/**
 * Looks at files beside the request loop: one worker thread per core, each with one file at a time, so that neither a
 * large file nor a hostile one ever makes other requests wait.
 */
export class InspectionPool {
  readonly #pool = new Piscina({
    filename: new URL('../dataset/inspect/inspect.js', import.meta.url).href,
    minThreads: 0,
    maxThreads: availableParallelism(),
    idleTimeout: 60_000,
    resourceLimits: { maxOldGenerationSizeMb: MAX_WORKER_HEAP_MB },
  });

  /** A file that a decoder hangs or dies on is refused, not an accident of ours; rejects only with the signal's reason. */
  async inspect(file: { path: string; filename: string }, signal: AbortSignal): Promise<Inspection> {
    const tooLong = AbortSignal.timeout(MAX_INSPECTION_SECONDS * 1000);
    try {
      return await this.#pool.run(file, { name: 'inspect', signal: AbortSignal.any([signal, tooLong]) });
    } catch (error) {
      signal.throwIfAborted();
      if (!tooLong.aborted && !isWorkerDeath(error)) throw error;
      const { filename } = file;
      const reason = tooLong.aborted ? `took more than ${MAX_INSPECTION_SECONDS} s` : 'broke off';
      const message = `The inspection of ${filename} ${reason}, so the file may be damaged. Export it again and upload that.`;
      return { ok: false, problem: errorIn(filename, 'INSPECTION_FAILED', message) };
    }
  }

  /** A WebP of the image at `path`, its longest side `maxPixels`. Rejects where there is no picture to show. */
  async thumbnail(path: string, maxPixels: number): Promise<Buffer> {
    const filename = new URL('../dataset/inspect/thumbnail.js', import.meta.url).href;
    return Buffer.from(await this.#pool.run({ path, maxPixels }, { filename, name: 'makeThumbnail' }));
  }

  /** Files being looked at or waiting for it. */
  get load(): number {
    return this.#pool.queueSize + this.#pool.threads.length;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

function isWorkerDeath(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
}
