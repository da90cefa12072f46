/*
 * The protocol between the server and an inspection process, over one socket. A frame is the length of its payload (4 bytes,
 * little-endian), its type (1 byte) and the payload. The process reads and writes synchronously, so it never has more than
 * one request in flight.
 */
import type { ExaminedContent } from '../../dataset/fix/examine-content.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';

export const FRAME_HEADER_BYTES = 5;

/** Payloads are bytes, or JSON of the type that is named here. */
export const FRAME = {
  /** From the process, once: it has loaded its code. No payload. */
  ready: 0,
  /** To the process: `InspectionJob`. */
  job: 1,
  /** From the process: `JobResult`. */
  result: 2,
  /** From the process, instead of `result`: the bytes of a thumbnail. */
  thumbnail: 3,
  /** From the process while it has a job: `ByteRange` of the remote file. */
  read: 4,
  /** To the process: the bytes of that range. */
  bytes: 5,
} as const;

export type ByteRange = readonly [start: number, end: number];

export type InspectionJob =
  | ({
      readonly task: 'inspect';
      readonly filename: string;
      readonly asMask: boolean;
      /** True if no decoder reads the facts of a clip afterwards. */
      readonly readsClipFacts: boolean;
    } & ({ readonly path: string } | { readonly remoteBytes: number }))
  | { readonly task: 'thumbnail'; readonly path: string; readonly maxPixels: number }
  | { readonly task: 'examine'; readonly path: string }
  /** Writes the converted image to `target`. */
  | { readonly task: 'convert'; readonly path: string; readonly target: string };

export type JobResult =
  | { readonly inspection: Inspection; readonly residentBytes: number }
  | { readonly examined: ExaminedContent; readonly residentBytes: number }
  | { readonly converted: true; readonly residentBytes: number }
  /** The bytes need more memory than the decoder could get. */
  | { readonly outOfMemory: true }
  /** Not the file's fault, or a file that has no thumbnail. `name` and `code` are those of the error. */
  | { readonly error: { readonly name: string; readonly message: string; readonly code?: string } };

export interface ReceivedFrame {
  readonly type: number;
  readonly payload: Buffer;
}

/** The header of a frame. */
export function frameHeader(type: number, payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  header.writeUInt32LE(payloadBytes);
  header[4] = type;
  return header;
}

export function jsonFrame(type: number, value: InspectionJob | JobResult | ByteRange): Buffer {
  const payload = Buffer.from(JSON.stringify(value));
  return Buffer.concat([frameHeader(type, payload.length), payload]);
}

/** Splits a stream of bytes into frames. */
export class FrameReader {
  readonly #maxBytes: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes of the stream. Returns the frames that are complete with them. @throws Error if one is too long */
  push(bytes: Buffer): ReceivedFrame[] {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const frames: ReceivedFrame[] = [];
    for (;;) {
      if (this.#bytes.length < FRAME_HEADER_BYTES) return frames;
      const end = FRAME_HEADER_BYTES + this.#bytes.readUInt32LE(0);
      if (end > this.#maxBytes) throw new Error(`A frame has ${end} bytes.`);
      if (this.#bytes.length < end) return frames;
      frames.push({ type: this.#bytes[4] ?? 0, payload: this.#bytes.subarray(FRAME_HEADER_BYTES, end) });
      this.#bytes = this.#bytes.subarray(end);
    }
  }
}
