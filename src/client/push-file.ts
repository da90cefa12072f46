import type { WireCurrentFile, WireFile } from '../api/schemas.js';

/** Web Crypto needs all bytes in memory; larger files are hashed only by the caller. */
const MAX_HASHED_BYTES = 64 * 1024 * 1024;

export interface PushFile {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** For one attempt. A browser's `File` and Node's `openAsBlob` read from disk as the bytes are sent. */
  readonly open: () => Promise<Blob>;
  /** Lower-case hexadecimal. Called only for a file that the dataset has with this size. */
  readonly sha256?: () => Promise<string>;
}

/** @throws Error if the size is no longer the reserved one */
export async function openFile(file: PushFile): Promise<Blob> {
  const body = await file.open();
  if (body.size === file.size) return body;
  throw new Error(`${file.name} changed while it was being sent: it has ${body.size} bytes now, not ${file.size}.`);
}

/** `unknown` if the SHA-256 of either is not available. */
export async function compareContent(
  file: PushFile,
  stored: Pick<WireFile, 'size_bytes' | 'sha256'> | undefined,
): Promise<'same' | 'different' | 'unknown'> {
  if (stored === undefined || stored.size_bytes !== file.size) return 'different';
  // The hosted API has no SHA-256; services other than trainyard may not send one.
  if (stored.sha256 === undefined) return 'unknown';
  // An unreadable file is sent like a new one, and fails with the reason when it is opened.
  const sha256 = await (file.sha256 ?? (() => hash(file)))().catch(() => undefined);
  if (sha256 === undefined) return 'unknown';
  return sha256 === stored.sha256 ? 'same' : 'different';
}

export async function hasBytes({ size_bytes, etag }: WireCurrentFile, bytes: Blob): Promise<boolean> {
  return size_bytes === bytes.size && etag === `"${await sha256Of(bytes)}"`;
}

async function hash(file: PushFile): Promise<string | undefined> {
  return file.size > MAX_HASHED_BYTES ? undefined : sha256Of(await file.open());
}

async function sha256Of(bytes: Blob): Promise<string | undefined> {
  // Pages over plain HTTP have no `subtle`, except from localhost (https://w3c.github.io/webcrypto/#Crypto-interface).
  const subtle = crypto.subtle as typeof crypto.subtle | undefined;
  if (subtle === undefined) return undefined;
  const digest = await subtle.digest('SHA-256', await bytes.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
