import { type Content, contentFor, type ContentName, extensionOf } from './contents.js';
import { sha256 } from '../harness/sha256.js';

/** The condition of a write: the stored file has this content, or there is none. */
export type Expected = 'red' | 'blue' | 'absent';

export interface CaptionText {
  readonly content: ContentName;
  readonly expected?: Expected | undefined;
}

/** What a client does to a dataset. `link` counts all links that the sequence has received. */
export type Change =
  | ({ readonly do: 'upload'; readonly filename: string } & CaptionText)
  | { readonly do: 'reserve'; readonly files: Readonly<Record<string, ContentName>> }
  | { readonly do: 'put'; readonly link: number; readonly content: ContentName }
  | { readonly do: 'delete'; readonly filename: string; readonly expected?: Expected | undefined }
  | { readonly do: 'captions'; readonly captions: Readonly<Record<string, CaptionText>> }
  | { readonly do: 'withdraw'; readonly filename: string };

/** What became of each caption of a change of many. */
export type Outcome = 'done' | 'conflict' | 'rejected';

/** A link that the server has issued. It is open until its upload is stored, rejected or removed. */
export interface Link {
  readonly url: string;
  readonly filename: string;
  readonly sizeBytes: number;
}

/** All that a dataset knows of a filename. */
interface Entry {
  stored?: { bytes: Buffer; by: Link | undefined };
  rejected?: { by: Link | undefined };
  open?: Link;
}

const ACCEPTED = ['.txt', '.jpg', '.png', '.gif'];
const TRAINABLE = ['.jpg', '.png'];

/**
 * A dataset as the documentation describes it (docs/datasets.md), written independently of the server: which files it has,
 * which uploads are pending, and which were rejected.
 */
export class DatasetModel {
  readonly #entries = new Map<string, Entry>();

  /** The bytes of all files, by name. */
  get files(): ReadonlyMap<string, Buffer> {
    const stored = [...this.#entries].flatMap(([name, entry]) =>
      entry.stored ? [[name, entry.stored.bytes] as const] : [],
    );
    return new Map(stored.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  }

  /** The names of pending uploads. */
  get awaited(): string[] {
    return [...this.#entries].flatMap(([name, { open }]) => (open ? [name] : [])).sort();
  }

  get rejected(): number {
    return [...this.#entries.values()].filter((entry) => entry.rejected).length;
  }

  /** Without a caption grace. */
  get status(): string {
    const names = [...this.files.keys()];
    if (names.length + this.awaited.length + this.rejected === 0) return 'DRAFT';
    if (this.awaited.length > 0) return 'UPLOADING';
    const mounted = new Set(names.map((name) => stemOf(name) + extensionOf(name)));
    const isTrainable = names.some((name) => TRAINABLE.includes(extensionOf(name)));
    const isBroken = this.rejected > 0 || mounted.size < names.length || this.uncaptioned > 0 || !isTrainable;
    return isBroken ? 'FAILED' : 'READY';
  }

  /** The number of media without a caption. */
  get uncaptioned(): number {
    const names = [...this.files.keys()];
    const captions = new Set(names.filter((name) => extensionOf(name) === '.txt').map(stemOf));
    return names.filter((name) => extensionOf(name) !== '.txt' && !captions.has(stemOf(name))).length;
  }

  /** The SHA-256 over the lines `sha256  filename`. */
  get digest(): string | undefined {
    if (this.status !== 'READY') return undefined;
    return sha256([...this.files].map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`).join(''));
  }

  /** Applies a change, and returns the status that the server must answer with. */
  apply(change: Extract<Change, { do: 'upload' | 'delete' | 'withdraw' }>): number {
    const filename = change.filename.normalize('NFC');
    if (change.do === 'withdraw') return this.#withdraw(filename) ? 200 : 404;
    if (change.do === 'delete') return this.#delete(filename, change.expected);
    const fault = faultOfName(filename);
    if (fault !== undefined) return fault;
    if (!this.#isMet(filename, change.expected)) return 412;
    return this.#finalize(filename, contentFor(filename, change.content));
  }

  /** Saves many captions, or none if a name is not valid. @returns the status of the answer, or what became of each */
  saveCaptions(captions: Readonly<Record<string, CaptionText>>): number | Outcome[] {
    const names = Object.keys(captions).map((name) => name.normalize('NFC'));
    const fault = names
      .map((name) => faultOfName(name) ?? (extensionOf(name) === '.txt' ? undefined : 422))
      .find((status) => status !== undefined);
    if (fault !== undefined) return fault;
    if (new Set(names).size < names.length) return 422;
    return Object.entries(captions).map(([name, { content, expected }]) => {
      const filename = name.normalize('NFC');
      const { bytes, isFit } = contentFor(filename, content);
      if (!this.#isMet(filename, expected)) return 'conflict';
      if (!isFit) return 'rejected';
      this.#entries.set(filename, { stored: { bytes, by: undefined } });
      return 'done';
    });
  }

  #delete(filename: string, expected: Expected | undefined): number {
    if (!this.#isMet(filename, expected)) return 412;
    const { stored, rejected, open } = this.#entry(filename);
    this.#entries.delete(filename);
    return stored || rejected || open ? 200 : 404;
  }

  #withdraw(filename: string): boolean {
    const entry = this.#entry(filename);
    if (!entry.rejected && !entry.open) return false;
    delete entry.rejected;
    delete entry.open;
    return true;
  }

  #isMet(filename: string, expected: Expected | undefined): boolean {
    const { stored } = this.#entry(filename);
    if (expected === undefined) return true;
    if (expected === 'absent') return stored === undefined;
    return stored?.bytes.equals(contentFor(filename, expected).bytes) ?? false;
  }

  /** Reserves uploads by links, which replace older links. @returns the status of the answer */
  reserve(files: Readonly<Record<string, ContentName>>, linkOf: (name: string) => Link | undefined): number {
    const names = Object.keys(files);
    const faults = names.map(
      (name) => faultOfName(name) ?? (contentFor(name, files[name]!).bytes.length === 0 ? 422 : undefined),
    );
    const fault = faults.find((status) => status !== undefined);
    if (fault !== undefined) return fault;
    if (new Set(names.map((name) => name.normalize('NFC'))).size < names.length) return 422;
    for (const name of names) {
      const link = linkOf(name);
      if (link !== undefined) this.#entry(name.normalize('NFC')).open = link;
    }
    return 200;
  }

  /** Sends bytes to a link. @returns the status of the answer */
  put(link: Link, content: Content): number {
    const entry = this.#entry(link.filename);
    if (entry.open !== link) {
      return entry.stored?.by === link || entry.rejected?.by === link ? 409 : 403;
    }
    if (content.bytes.length > link.sizeBytes) return 413;
    if (content.bytes.length < link.sizeBytes) return 422;
    delete entry.open;
    return this.#finalize(link.filename, content, link);
  }

  #finalize(filename: string, { bytes, isFit }: Content, by?: Link): number {
    const entry = this.#entry(filename);
    if (isFit) {
      // A newer file replaces all of its name, the links included.
      this.#entries.set(filename, { stored: { bytes, by } });
      return 200;
    }
    // A rejected upload leaves a file of its name untouched.
    if (!entry.stored) entry.rejected = { by };
    return 422;
  }

  #entry(filename: string): Entry {
    const entry = this.#entries.get(filename) ?? {};
    this.#entries.set(filename, entry);
    return entry;
  }
}

function faultOfName(filename: string): number | undefined {
  if (filename.startsWith('.') || filename.includes('/')) return 422;
  return ACCEPTED.includes(extensionOf(filename)) ? undefined : 415;
}

function stemOf(filename: string): string {
  return filename.slice(0, filename.length - extensionOf(filename).length);
}
