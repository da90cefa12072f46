import type { WireReadLink } from '../api/schemas.js';

/**
 * URLs of one dataset's files that need no token, until they expire. They hold a signature and not the token, and are the
 * same for an hour, so that a browser may keep what it has read.
 */
export class DatasetLinks {
  readonly expiresAt: Date;
  readonly #url: string;
  readonly #query: string;

  /** @param url of the dataset, absolute */
  constructor(url: string, { query, expires_at }: WireReadLink) {
    this.#url = url;
    this.#query = query;
    // No more than milliseconds are understood everywhere (https://tc39.es/ecma262/#sec-date-time-string-format).
    this.expiresAt = new Date(`${expires_at.slice(0, '2025-07-22T13:05:16.143'.length)}Z`);
  }

  /** With `sha256`, a browser keeps the bytes without ever asking again; with `download`, it saves instead of showing them. */
  file({ filename, sha256 }: LinkedFile, { download = false }: { download?: boolean } = {}): string {
    const more = { ...(sha256 !== undefined && { sha256 }), ...(download && { download: 'true' }) };
    return this.#urlOf(`/files/${encodeURIComponent(filename)}`, more);
  }

  /** Of an image; with `sha256` as `file`. */
  thumbnail({ filename, sha256 }: LinkedFile): string {
    const more = sha256 === undefined ? {} : { sha256 };
    return this.#urlOf(`/files/${encodeURIComponent(filename)}/thumbnail`, more);
  }

  /** All files as one zip archive. */
  zip(): string {
    return this.#urlOf('/zip', {});
  }

  #urlOf(path: string, more: Record<string, string>): string {
    const rest = new URLSearchParams(more).toString();
    return `${this.#url}${path}?${this.#query}${rest && `&${rest}`}`;
  }
}

/** A file as the service tells of it. */
interface LinkedFile {
  readonly filename: string;
  readonly sha256?: string;
}
