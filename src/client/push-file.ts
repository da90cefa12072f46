import type { WireCurrentFile, WireFile } from '../api/schemas.js';

/** Files up to this size are hashed here if the caller gives no SHA-256; Web Crypto needs all the bytes in memory. */
const MAX_HASHED_BYTES = 64 * 1024 * 1024;

/** A file to upload. */
export interface PushFile {
  /** The filename in the dataset. */
  readonly name: string;
  /** The exact size in bytes. */
  readonly size: number;
  /** Opens the bytes for one attempt. A browser's `File` and Node's `openAsBlob` read from disk as the bytes are sent. */
  readonly open: () => Promise<Blob>;
  /** Computes the SHA-256, lower-case hexadecimal. Called only if the dataset has a file with this name and size. */
  readonly sha256?: () => Promise<string>;
}

/** @throws Error if the file no longer has the size that was reserved for it */
export async function openFile(file: PushFile): Promise<Blob> {
  const body = await file.open();
  if (body.size === file.size) return body;
  throw new Error(`${file.name} changed while it was being sent: it has ${body.size} bytes now, not ${file.size}.`);
}

/** Compares a local file with the stored file of the same name; `unknown` if the SHA-256 of either is not available. */
export async function compareContent(
  file: PushFile,
  stored: Pick<WireFile, 'size_bytes' | 'sha256'> | undefined,
): Promise<'same' | 'different' | 'unknown'> {
  if (stored === undefined || stored.size_bytes !== file.size) return 'different';
  // The hosted API has no SHA-256; services other than trainyard may not send one.
  if (stored.sha256 === undefined) return 'unknown';
  // An unreadable file is sent like a new one, and the attempt to open it fails with the reason.
  const sha256 = await (file.sha256 ?? (() => hash(file)))().catch(() => undefined);
  if (sha256 === undefined) return 'unknown';
  return sha256 === stored.sha256 ? 'same' : 'different';
}

/** Whether the file that is there has these bytes. False if their SHA-256 is not available. */
export async function hasBytes({ size_bytes, etag }: WireCurrentFile, bytes: Blob): Promise<boolean> {
  return size_bytes === bytes.size && etag === `"${await sha256Of(bytes)}"`;
}

async function hash(file: PushFile): Promise<string | undefined> {
  return file.size > MAX_HASHED_BYTES ? undefined : sha256Of(await file.open());
}

async function sha256Of(bytes: Blob): Promise<string | undefined> {
  // Pages loaded over plain HTTP have no `subtle`, except from localhost (https://w3c.github.io/webcrypto/#Crypto-interface).
  const subtle = crypto.subtle as typeof crypto.subtle | undefined;
  if (subtle === undefined) return undefined;
  const digest = await subtle.digest('SHA-256', await bytes.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
