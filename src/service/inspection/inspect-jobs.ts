import { readSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { examineContent, type WhyNotConverted } from '../../dataset/fix/examine-content.js';
import { inspectWith, readClipFacts } from '../../dataset/inspect/inspect.js';
import type { DecodeMask, ProveDecodes } from '../../dataset/inspect/inspection.js';
import { isOutOfMemory } from '../../dataset/inspect/inspection-error.js';
import type { RemoteFile } from '../../dataset/inspect/remote-bytes.js';
import { FRAME, FRAME_HEADER_BYTES, frameHeader, type InspectionJob, type JobResult, jsonFrame } from './frames.js';

const SOCKET = 3;

/** What an inspection process does with the pixels of images. */
export interface ImageDecoder {
  /** This and the next are absent where no decoder is installed. */
  readonly proveDecodes?: ProveDecodes;
  readonly decodeMask?: DecodeMask;
  readonly whyNotConverted: WhyNotConverted;
  readonly makeThumbnail: (source: { path: string; maxPixels: number }) => Promise<Buffer>;
  readonly convertImage: (image: { path: string; target: string }) => Promise<void>;
}

/** Returns false at the end of the stream: the server has ended. */
function readFully(target: Buffer): boolean {
  for (let length = 0; length < target.length; ) {
    const read = readSync(SOCKET, target, length, target.length - length, null);
    if (read === 0) return false;
    length += read;
  }
  return true;
}

function send(frame: Buffer): void {
  for (let sent = 0; sent < frame.length; ) sent += writeSync(SOCKET, frame, sent);
}

const header = Buffer.alloc(FRAME_HEADER_BYTES);

/** Blocks until the server sends a frame. */
function receiveHeader(): { type: number; length: number } {
  if (!readFully(header)) process.exit(0);
  return { type: header[4] ?? 0, length: header.readUInt32LE(0) };
}

function receiveJob(): InspectionJob {
  const payload = Buffer.alloc(receiveHeader().length);
  if (!readFully(payload)) process.exit(0);
  return JSON.parse(payload.toString()) as InspectionJob;
}

function remoteFile(sizeBytes: number): RemoteFile {
  return {
    sizeBytes,
    readInto: (target, start, end) => {
      send(jsonFrame(FRAME.read, [start, end]));
      // If the bytes can't be read, the server ends this process.
      receiveHeader();
      if (!readFully(target)) process.exit(0);
    },
  };
}

async function answer(job: InspectionJob, decoder: ImageDecoder): Promise<Buffer> {
  try {
    if (job.task === 'thumbnail') {
      const thumbnail = await decoder.makeThumbnail(job);
      return Buffer.concat([frameHeader(FRAME.thumbnail, thumbnail.length), thumbnail]);
    }
    if (job.task !== 'inspect') {
      const done =
        job.task === 'examine'
          ? ({ examined: await examineContent(job.path, decoder.whyNotConverted) } as const)
          : ({ converted: await decoder.convertImage(job).then(() => true as const) } as const);
      return jsonFrame(FRAME.result, { ...done, residentBytes: process.memoryUsage.rss() });
    }
    const { filename, asMask, readsClipFacts } = job;
    const source = 'path' in job ? { path: job.path } : { remote: remoteFile(job.remoteBytes) };
    const options = { ...decoder, asMask, ...(readsClipFacts && { readClipFacts }) };
    const inspection = await inspectWith({ filename, ...source }, options);
    return jsonFrame(FRAME.result, { inspection, residentBytes: process.memoryUsage.rss() });
  } catch (error) {
    return jsonFrame(FRAME.result, failureOf(error));
  }
}

function failureOf(error: unknown): JobResult {
  if (isOutOfMemory(error)) return { outOfMemory: true };
  if (!(error instanceof Error)) return { error: { name: 'Error', message: String(error) } };
  const { name, message } = error;
  return { error: { name, message, ...('code' in error && { code: String(error.code) }) } };
}

/**
 * Runs an inspection process: waits for a job, does it, and answers, until the server closes the socket or ends. The process
 * holds no secret, and the server may kill it at any time.
 */
export async function inspectInProcess(decoder: ImageDecoder): Promise<never> {
  // A service manager or a terminal sends these to all processes of the service. The server decides when this one ends.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  send(frameHeader(FRAME.ready, 0));
  for (;;) {
    send(await answer(receiveJob(), decoder));
    // Receiving blocks the event loop, which first runs what the job has left for it.
    await turn();
  }
}
