import { readSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { MadeThumbnail, ThumbnailSource } from '../../dataset/inspect/image/thumbnail.js';
import { examineContent, type RequireConvertible } from '../../dataset/fix/examine-content.js';
import { inspectWith, readClipFacts } from '../../dataset/inspect/inspect.js';
import type { PixelDecoder } from '../../dataset/inspect/inspection.js';
import { isOutOfMemory } from '../../dataset/inspect/inspection-error.js';
import type { InspectionJob, ProcessMessage, Results } from './inspection-pool.js';

/** To the server. Reads and writes block: the process does one thing at a time. */
const SOCKET = 3;

/** A job may have the frame of a clip. */
const MAX_JOB_BYTES = 1 << 20;

export interface ImageDecoder {
  /** Absent where no decoder is installed. */
  readonly loadDecoder?: () => Promise<PixelDecoder>;
  readonly requireConvertible: RequireConvertible;
  readonly makeThumbnail: (source: ThumbnailSource) => Promise<MadeThumbnail>;
  readonly makePicture: (source: { path: string; maxPixels: number }) => Promise<Buffer>;
  readonly convertImage: (image: { path: string; target: string }) => Promise<void>;
}

/** The end of the stream means that the server has ended. */
function receive(target: Buffer, offset: number): number {
  const read = readSync(SOCKET, target, offset, target.length - offset, null);
  if (read === 0) process.exit(0);
  return offset + read;
}

function receiveJob(buffer: Buffer): InspectionJob {
  let length = 0;
  while (length === 0 || buffer[length - 1] !== 0x0a) length = receive(buffer, length);
  return JSON.parse(buffer.toString('utf8', 0, length));
}

function send(message: ProcessMessage): void {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let sent = 0; sent < line.length; ) sent += writeSync(SOCKET, line, sent);
}

async function resultOf(job: InspectionJob, decoder: ImageDecoder): Promise<Results[keyof Results]> {
  switch (job.task) {
    case 'thumbnail': {
      const { webp, ...appearance } = await decoder.makeThumbnail(job);
      return { webp: webp.toString('base64'), ...appearance };
    }
    case 'picture':
      return (await decoder.makePicture(job)).toString('base64');
    case 'examine':
      return examineContent(job.path, decoder.requireConvertible);
    case 'convert':
      await decoder.convertImage(job);
      return true;
    case 'inspect': {
      const { path, filename, asMask } = job;
      const options = { ...decoder, asMask, ...(job.readsClipFacts && { readClipFacts }) };
      return inspectWith({ path, filename }, options);
    }
  }
}

async function answer(job: InspectionJob, decoder: ImageDecoder): Promise<ProcessMessage> {
  try {
    const result = await resultOf(job, decoder);
    return { result, residentBytes: process.memoryUsage.rss() };
  } catch (error) {
    if (isOutOfMemory(error)) return { outOfMemory: true };
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    const code = error instanceof Error && 'code' in error ? { code: String(error.code) } : {};
    return { error: { name, message, ...code }, residentBytes: process.memoryUsage.rss() };
  }
}

/** Runs an inspection process, which holds no secret and may be killed, until the server closes the socket. */
export async function inspectInProcess(decoder: ImageDecoder): Promise<never> {
  // A service manager or a terminal signals all processes. The server decides when this one ends.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const buffer = Buffer.alloc(MAX_JOB_BYTES);
  send({ ready: true });
  for (;;) {
    send(await answer(receiveJob(buffer), decoder));
    // Receiving blocks the event loop, which first runs what the job has left.
    await turn();
  }
}
