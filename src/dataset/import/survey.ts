import { groupedBy } from '../grouped-by.js';
import { extensionOf, isStructuredCaption, mediaTypeOf, stemOf } from '../media.js';
import { parseFilename } from '../names.js';
import { type CaptionTable, type ColumnChoices, isTablePath, readCaptionTable } from './caption-table.js';
import { isHiddenPath, lastPartOf, parentOf } from './entry-paths.js';
import type { NestedFile } from './flatten.js';

/** A file of a folder or an archive, which nothing is known of but what its list says. */
export interface ImportEntry {
  /** With `/` between its parts, such as `wagons/10_red wagon/1.jpg`. */
  readonly path: string;
  readonly sizeBytes: number;
  /** In milliseconds since 1970. */
  readonly modified: number;
  /** A table under any name. */
  readonly isTable?: boolean;
  /** Why it can't be read, as a sentence; `undefined` if it can. */
  readonly fault?: string | undefined;
  /** Read as a whole. */
  readonly bytes: () => Promise<Uint8Array>;
}

export interface ImportChoices extends ColumnChoices {
  /** One of the `captionSources`, where a picture has captions in several. */
  readonly captions?: string | undefined;
}

/** A file of a dataset: an entry, or a caption from a table. Its name is in NFC, with the extension that it gets. */
export interface FoundFile<E extends ImportEntry> extends NestedFile {
  /** Of the entry, or of the table. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly modified: number;
  readonly content: { readonly entry: E } | { readonly text: string };
}

export type SkipCode =
  | 'HIDDEN'
  | 'UNREADABLE'
  | 'INVALID_NAME'
  | 'OTHER_TYPE'
  | 'EMPTY'
  | 'NO_MEDIA'
  | 'OTHER_CAPTION'
  | 'NO_TABLE'
  | 'TABLE_ROW';

export interface SkippedEntry {
  readonly code: SkipCode;
  readonly path: string;
  /** A sentence. */
  readonly reason: string;
}

/** Where captions come from: an extension such as `.txt`, or the path of a table. */
export interface CaptionSource {
  readonly name: string;
  /** The captions that it has for the files. */
  readonly captions: number;
}

/** What an import would bring. */
export interface ImportSurvey<E extends ImportEntry> {
  readonly files: readonly FoundFile<E>[];
  readonly skipped: readonly SkippedEntry[];
  /** Tables of captions, without their rows. */
  readonly tables: readonly (Omit<CaptionTable, 'rows'> & { readonly used: number })[];
  /** In the order in which they are preferred. */
  readonly captionSources: readonly CaptionSource[];
  /** The number of files that have captions in several sources. */
  readonly severalSources: number;
}

/** In the order in which they are preferred. `.txt` is what trainers read by default; kohya's tools write `.caption`. */
const CAPTION_EXTENSIONS = ['.txt', '.caption', '.cap', '.tags'];

const MAX_TABLE_BYTES = 64 * 1024 * 1024;

const MAX_ROW_FAULTS = 20;

/** Of what a row names, and how many of its last parts decide. */
const MAX_NAMED_LENGTH = 2048;
const MAX_ENDINGS = 8;
const MAX_SHOWN = 200;

/**
 * Decides which entries come in, as what, and why the others do not. Reads only tables of captions.
 *
 * @param options.known the names of the files in the dataset, which captions and tables may be for
 * @param options.keepsUnpaired whether captions without a picture come in
 */
export async function surveyEntries<E extends ImportEntry>(
  entries: readonly E[],
  options: { choices?: ImportChoices; known?: readonly string[] | undefined; keepsUnpaired?: boolean } = {},
): Promise<ImportSurvey<E>> {
  const survey = new Survey<E>(options);
  // Yields now and then, since a page also surveys.
  for (const [index, entry] of entries.entries()) {
    if (index % 1000 === 999) await new Promise((resolve) => setTimeout(resolve));
    survey.add(entry);
  }
  await survey.readTables();
  return survey.result();
}

interface CaptionCandidate<E extends ImportEntry> {
  readonly source: string;
  readonly found: FoundFile<E>;
}

class Survey<E extends ImportEntry> {
  readonly #choices: ImportChoices;
  readonly #known: readonly string[];
  readonly #keepsUnpaired: boolean;
  readonly #media: FoundFile<E>[] = [];
  readonly #skipped: SkippedEntry[] = [];
  readonly #tableEntries: E[] = [];
  readonly #tables: ImportSurvey<E>['tables'][number][] = [];
  readonly #captions: CaptionCandidate<E>[] = [];

  constructor({ choices = {}, known = [], keepsUnpaired = false }: Parameters<typeof surveyEntries>[1] = {}) {
    this.#choices = choices;
    this.#known = known;
    this.#keepsUnpaired = keepsUnpaired;
  }

  add(entry: E): void {
    const { path, fault, sizeBytes } = entry;
    const name = lastPartOf(path);
    const extension = extensionOf(name);
    if (isHiddenPath(path)) this.#skip('HIDDEN', path, 'An operating system or a trainer made it, or hides it.');
    else if (fault !== undefined) this.#skip('UNREADABLE', path, fault);
    else if (entry.isTable || isTablePath(path)) this.#tableEntries.push(entry);
    else {
      // `.TXT` stays as it is.
      const isRenamed = CAPTION_EXTENSIONS.includes(extension) && extension !== '.txt';
      const found = this.#foundFile(entry, isRenamed ? `${stemOf(name)}.txt` : name);
      if (found === undefined) return;
      if (mediaTypeOf(found.name)?.kind === 'caption') this.#captions.push({ source: extension, found });
      else if (sizeBytes === 0) this.#skip('EMPTY', path, 'It is empty. Copy it again from its source.');
      else this.#media.push(found);
    }
  }

  async readTables(): Promise<void> {
    for (const entry of this.#tableEntries) {
      const { path, sizeBytes } = entry;
      if (sizeBytes > MAX_TABLE_BYTES) {
        this.#skip('NO_TABLE', path, `It has ${sizeBytes} bytes, and a table of captions at most ${MAX_TABLE_BYTES}.`);
        continue;
      }
      const bytes = await entry.bytes().catch((error: Error) => error);
      if (bytes instanceof Error) this.#skip('UNREADABLE', path, `It can't be read: ${bytes.message}.`);
      else this.#addTable(path, readCaptionTable(path, bytes, this.#choices));
    }
  }

  result(): ImportSurvey<E> {
    const sources = this.#sources();
    const rankOf = (source: string) => sources.findIndex(({ name }) => name === source);
    const stems = new Set([...this.#media.map(({ name }) => name), ...this.#known].map(stemOf));
    const captions: FoundFile<E>[] = [];
    let severalSources = 0;
    // Structured ones stand beside the others.
    const keyOf = ({ found: { folder, name } }: CaptionCandidate<E>) =>
      [folder, stemOf(name), isStructuredCaption(name)].join('\n');
    for (const candidates of groupedBy(this.#captions, keyOf).values()) {
      const isEmpty = ({ found }: CaptionCandidate<E>) => Number(found.sizeBytes === 0);
      const [best] = candidates.toSorted((a, b) => isEmpty(a) - isEmpty(b) || rankOf(a.source) - rankOf(b.source));
      if (candidates.some(({ source }) => source !== best?.source)) severalSources++;
      for (const { source, found } of candidates) {
        const { name, path, content } = found;
        // Two spellings of a name are two files.
        const isChosen = found === best?.found || (source === best?.source && 'entry' in content);
        const chosen = lastPartOf(best?.found.path ?? '');
        if (!isChosen) this.#skip('OTHER_CAPTION', path, `The caption of ${stemOf(name)} comes from ${chosen}.`);
        else if (this.#keepsUnpaired || stems.has(stemOf(name))) captions.push(found);
        else this.#skip('NO_MEDIA', path, 'There is no image or clip of this name.');
      }
    }
    return {
      files: [...this.#media, ...captions],
      skipped: this.#skipped,
      tables: this.#tables,
      captionSources: sources,
      severalSources,
    };
  }

  #skip(code: SkipCode, path: string, reason: string): void {
    this.#skipped.push({ code, path, reason });
  }

  #foundFile(entry: E, name: string): FoundFile<E> | undefined {
    const { path, sizeBytes, modified } = entry;
    try {
      return { folder: parentOf(path), name: parseFilename(name), path, sizeBytes, modified, content: { entry } };
    } catch (error) {
      const code = mediaTypeOf(name) === undefined ? 'OTHER_TYPE' : 'INVALID_NAME';
      this.#skip(code, path, (error as Error).message);
      return undefined;
    }
  }

  #addTable(path: string, table: CaptionTable | string): void {
    if (typeof table === 'string') {
      this.#skip('NO_TABLE', path, `It ${table}`);
      return;
    }
    if (this.#media.length + this.#known.length === 0) {
      this.#skip('NO_TABLE', path, 'Its images and clips are not there. Add it to the dataset that has them.');
      return;
    }
    const known = this.#known.map((name) => ({ name, path: name, folder: '', modified: 0 }));
    const [captionOf, knownCaptionOf] = [captionFinder(this.#media, parentOf(path)), captionFinder(known, '')];
    const faults = [...table.faults];
    const texts = new Map<string, string>();
    const rows = table.rows.map((row) => ({ ...row, named: captionOf(row.file) ?? knownCaptionOf(row.file) }));
    // Of two rows for a file, the one that names more of its path counts.
    rows.sort((a, b) => (a.named?.rank ?? 0) - (b.named?.rank ?? 0));
    for (const { file, caption, named } of rows) {
      const shown = file.length > MAX_SHOWN ? `${file.slice(0, MAX_SHOWN)}…` : file;
      if (named === undefined) faults.push(`${shown} is not among the images and clips.`);
      if (named === undefined || caption === undefined) continue;
      const { folder, name, modified } = named;
      const earlier = texts.get(`${folder}/${name}`) ?? caption;
      if (earlier !== caption) faults.push(`${shown} has another caption in another row, which is taken.`);
      if (texts.has(`${folder}/${name}`)) continue;
      texts.set(`${folder}/${name}`, caption);
      const sizeBytes = new TextEncoder().encode(caption).length;
      const found = { folder, name, path, sizeBytes, modified, content: { text: caption } };
      this.#captions.push({ source: path, found });
    }
    for (const fault of faults.slice(0, MAX_ROW_FAULTS)) this.#skip('TABLE_ROW', path, fault);
    const more = faults.length - MAX_ROW_FAULTS;
    if (more > 0) this.#skip('TABLE_ROW', path, `${more} more rows can't be used.`);
    const { rows: _, ...rest } = table;
    this.#tables.push({ ...rest, used: texts.size });
  }

  /** The chosen one first, and files before tables. */
  #sources(): CaptionSource[] {
    const counts = new Map<string, number>();
    for (const { source, found } of this.#captions) {
      if (!isStructuredCaption(found.name)) counts.set(source, (counts.get(source) ?? 0) + 1);
    }
    const order = [...CAPTION_EXTENSIONS, ...this.#tables.map(({ path }) => path)];
    const rankOf = (name: string) => (name === this.#choices.captions ? -1 : order.indexOf(name));
    return [...counts].map(([name, captions]) => ({ name, captions })).sort((a, b) => rankOf(a.name) - rankOf(b.name));
  }
}

/** A file that a row of a table may name. */
type Named = Pick<FoundFile<never>, 'folder' | 'name' | 'path' | 'modified'>;

/**
 * Finds the file that a row names, and returns it with the name of its caption: by its path from the table (rank 0), or else by the
 * longest end of it, also flattened, that one stem alone has. Tables of other machines have absolute paths and other extensions, and
 * kohya's have none. A row of an export may name a caption itself.
 */
function captionFinder(files: readonly Named[], folder: string) {
  const byPath = new Map<string, Named | undefined>();
  const isSame = (a: Named | undefined, b: Named) => a?.folder === b.folder && stemOf(a.name) === stemOf(b.name);
  for (const file of files) {
    const path = file.path.normalize('NFC');
    // No ending begins with a slash.
    byPath.set(`/${path}`, file);
    for (const ending of endingsOf(path)) {
      for (const key of [ending, stemOf(ending)]) {
        byPath.set(key, !byPath.has(key) || isSame(byPath.get(key), file) ? file : undefined);
      }
    }
  }
  return (named: string) => {
    if (named.length > MAX_NAMED_LENGTH) return undefined;
    const path = named
      .trim()
      .replaceAll('\\', '/')
      .replace(/^(\.\/)+/, '')
      .normalize('NFC');
    const last = lastPartOf(path);
    const kind = mediaTypeOf(last)?.kind;
    const keys = endingsOf(path)
      .flatMap((ending) => [ending, ending.replaceAll('/', '_')])
      .flatMap((ending) => (kind === undefined ? ending : [ending, stemOf(ending)]));
    const whole = folder === '' ? `/${path}` : `/${folder}/${path}`;
    const found = [whole, ...keys].map((key) => byPath.get(key));
    const rank = found.findIndex(Boolean);
    const file = found[rank];
    const ending = kind === 'caption' ? last.slice(stemOf(last).length) : '.txt';
    return file && { ...file, rank, name: stemOf(file.name) + ending };
  };
}

/** `a/b/c.jpg`, `b/c.jpg` and `c.jpg`. */
function endingsOf(path: string): string[] {
  const parts = path.split('/').slice(-MAX_ENDINGS);
  return parts.map((_, index) => parts.slice(index).join('/'));
}
