import type { ZipForm as WireZipForm } from '../api/request-schemas.js';
import type { WireDownloadLink } from '../api/schemas.js';

/**
 * Builds URLs of files that need no token until they expire. Their signature stays the same for an hour, so that browsers cache.
 * @example
 * const links = await client.downloadLinks(dataset.id);
 * image.src = links.thumbnail({ filename: 'yard_01.jpg' });
 * video.src = links.file({ filename: 'clip.mp4' });
 */
export class DownloadLinks {
  readonly expiresAt: Date;
  readonly #url: string;
  readonly #query: string;

  /** @param url the absolute URL of the dataset */
  constructor(url: string, { query, expires_at }: WireDownloadLink) {
    this.#url = url;
    this.#query = query;
    // Not every engine parses more digits than milliseconds (https://tc39.es/ecma262/#sec-date-time-string-format).
    this.expiresAt = new Date(`${expires_at.slice(0, '2025-07-22T13:05:16.143'.length)}Z`);
  }

  /** `sha256` lets a browser cache the bytes for good, `download` saves the file, and `revision` selects an earlier one. */
  file({ filename, sha256, revision }: NamedFile, { download = false }: { download?: boolean } = {}): string {
    return this.#urlOf(`/files/${encodeURIComponent(filename)}`, { sha256, revision, download: download || undefined });
  }

  /** A small WebP; `sha256` and `revision` as in `file`. */
  thumbnail({ filename, sha256, revision }: NamedFile): string {
    return this.#urlOf(`/files/${encodeURIComponent(filename)}/thumbnail`, { sha256, revision });
  }

  /** A zip archive of all files, `as` one of the exports; by default, of the files as they are. */
  zip(options: { readonly revision?: number; readonly as?: WireZipForm } = {}): string {
    return this.#urlOf('/zip', options);
  }

  /** The captions as csv, with the columns `file_name` and `text`. */
  captions(options: { readonly revision?: number } = {}): string {
    return this.#urlOf('/captions', options);
  }

  #urlOf(path: string, query: Readonly<Record<string, unknown>>): string {
    return `${this.#url}${path}?${this.#query}${queryOf(query).replace('?', '&')}`;
  }
}

interface NamedFile {
  readonly filename: string;
  readonly sha256?: string | undefined;
  readonly revision?: number | undefined;
}

export function queryOf(query: Readonly<Record<string, unknown>>): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) parameters.set(key, String(value));
  return parameters.size === 0 ? '' : `?${parameters}`;
}
