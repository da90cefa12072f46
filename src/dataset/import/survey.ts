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
  /** Why it can't be read, as a sentence; `undefined` if it can. */
  readonly fault?: string | undefined;
  /** Read as a whole. */
  readonly text: () => Promise<string>;
}

export interface ImportChoices extends ColumnChoices {
  /** One of the `captionSources`, where a picture has captions in several. */
  readonly captions?: string | undefined;
}

/** A file of a dataset before it has a name among all others: an entry, or a caption from a table. */
export interface FoundFile<E extends ImportEntry> extends NestedFile {
  readonly file: {
    /** In NFC, with the extension that it gets. */
    readonly name: string;
    /** Of the entry, or of the table. */
    readonly path: string;
    readonly sizeBytes: number;
    readonly content: { readonly entry: E } | { readonly text: string };
  };
  readonly modified: number;
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

/**
 * Decides which entries come in, as what, and why the others do not. Reads only tables of captions.
 *
 * @param options.knownStems of the files in the dataset: other captions without a picture are skipped; `undefined` keeps all
 */
export async function surveyEntries<E extends ImportEntry>(
  entries: readonly E[],
  { choices = {}, knownStems }: { choices?: ImportChoices; knownStems?: ReadonlySet<string> | undefined } = {},
): Promise<ImportSurvey<E>> {
  const survey = new Survey<E>(choices);
  // Yields now and then, since a page also surveys.
  for (const [index, entry] of entries.entries()) {
    if (index % 1000 === 999) await new Promise((resolve) => setTimeout(resolve));
    survey.add(entry);
  }
  await survey.readTables();
  return survey.result(knownStems);
}

interface CaptionCandidate<E extends ImportEntry> {
  readonly source: string;
  readonly found: FoundFile<E>;
}

class Survey<E extends ImportEntry> {
  readonly #choices: ImportChoices;
  readonly #media: FoundFile<E>[] = [];
  /** Captions that stand beside those of other sources. */
  readonly #structured: FoundFile<E>[] = [];
  readonly #skipped: SkippedEntry[] = [];
  readonly #tableEntries: E[] = [];
  readonly #tables: ImportSurvey<E>['tables'][number][] = [];
  /** By folder and stem. */
  readonly #captions = new Map<string, CaptionCandidate<E>[]>();

  constructor(choices: ImportChoices) {
    this.#choices = choices;
  }

  add(entry: E): void {
    const { path, fault, sizeBytes } = entry;
    const name = lastPartOf(path);
    const extension = extensionOf(name);
    if (isHiddenPath(path)) this.#skip('HIDDEN', path, 'An operating system made it, or hides it.');
    else if (fault !== undefined) this.#skip('UNREADABLE', path, fault);
    else if (isTablePath(path)) this.#tableEntries.push(entry);
    else {
      const isCaption = CAPTION_EXTENSIONS.includes(extension);
      // `.TXT` stays as it is.
      const isRenamed = isCaption && extension !== '.txt';
      const found = this.#foundFile(entry, isRenamed ? `${stemOf(name)}.txt` : name);
      if (found === undefined) return;
      if (isCaption) this.#addCaption({ source: extension, found });
      else if (sizeBytes === 0 && mediaTypeOf(name)?.kind !== 'caption') {
        this.#skip('EMPTY', path, 'It is empty. Copy it again from its source.');
      } else (isStructuredCaption(name) ? this.#structured : this.#media).push(found);
    }
  }

  async readTables(): Promise<void> {
    for (const entry of this.#tableEntries) {
      const { path, sizeBytes } = entry;
      if (sizeBytes > MAX_TABLE_BYTES) {
        this.#skip('NO_TABLE', path, `It has ${sizeBytes} bytes, and a table of captions at most ${MAX_TABLE_BYTES}.`);
        continue;
      }
      const text = await entry.text().catch((error: Error) => error);
      if (text instanceof Error) this.#skip('UNREADABLE', path, `It can't be read: ${text.message}.`);
      else this.#addTable(entry, readCaptionTable(path, text, this.#choices));
    }
  }

  result(knownStems: ReadonlySet<string> | undefined): ImportSurvey<E> {
    const sources = this.#sources();
    const rankOf = (source: string) => sources.findIndex(({ name }) => name === source);
    const stems = new Set([...this.#media.map(({ file }) => stemOf(file.name)), ...(knownStems ?? [])]);
    const captions: FoundFile<E>[] = [];
    let severalSources = 0;
    const addCaption = (found: FoundFile<E>) => {
      const { name, path } = found.file;
      if (knownStems === undefined || stems.has(stemOf(name))) captions.push(found);
      else this.#skip('NO_MEDIA', path, 'There is no image or clip of this name.');
    };
    for (const found of this.#structured) addCaption(found);
    for (const candidates of this.#captions.values()) {
      const isEmpty = ({ found }: CaptionCandidate<E>) => Number(found.file.sizeBytes === 0);
      const [best] = candidates.toSorted((a, b) => isEmpty(a) - isEmpty(b) || rankOf(a.source) - rankOf(b.source));
      if (candidates.some(({ source }) => source !== best?.source)) severalSources++;
      for (const { source, found } of candidates) {
        // Two spellings of a name are two files.
        const isChosen = found === best?.found || (source === best?.source && 'entry' in found.file.content);
        if (isChosen) addCaption(found);
        else {
          const chosen = lastPartOf(best?.found.file.path ?? '');
          this.#skip(
            'OTHER_CAPTION',
            found.file.path,
            `The caption of ${stemOf(found.file.name)} comes from ${chosen}.`,
          );
        }
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
      const file = { name: parseFilename(name), path, sizeBytes, content: { entry } };
      return { folder: parentOf(path), file, modified };
    } catch (error) {
      const code = mediaTypeOf(name) === undefined ? 'OTHER_TYPE' : 'INVALID_NAME';
      this.#skip(code, path, (error as Error).message);
      return undefined;
    }
  }

  #addCaption(candidate: CaptionCandidate<E>): void {
    const { folder, file } = candidate.found;
    const key = `${folder}\n${stemOf(file.name)}`;
    const known = this.#captions.get(key);
    if (known === undefined) this.#captions.set(key, [candidate]);
    else known.push(candidate);
  }

  #addTable(entry: E, table: CaptionTable | string): void {
    const { path } = entry;
    if (typeof table === 'string') {
      this.#skip('NO_TABLE', path, `It ${table}`);
      return;
    }
    const find = mediaFinder(this.#media, parentOf(path));
    const missing: string[] = [];
    let used = 0;
    for (const { file, caption } of table.rows) {
      const media = find(file);
      if (media === undefined) missing.push(`${file} is not among the images and clips.`);
      else if (caption !== undefined) {
        used++;
        this.#addCaption({ source: path, found: captionFor(media, { path, text: caption }) });
      }
    }
    const faults = [...table.faults, ...missing];
    for (const fault of faults.slice(0, MAX_ROW_FAULTS)) this.#skip('TABLE_ROW', path, fault);
    const more = faults.length - MAX_ROW_FAULTS;
    if (more > 0) this.#skip('TABLE_ROW', path, `${more} more rows can't be used.`);
    const { rows: _, ...rest } = table;
    this.#tables.push({ ...rest, used });
  }

  /** The chosen one first, and files before tables. */
  #sources(): CaptionSource[] {
    const counts = new Map<string, number>();
    for (const candidates of this.#captions.values()) {
      for (const { source } of candidates) counts.set(source, (counts.get(source) ?? 0) + 1);
    }
    const order = [...CAPTION_EXTENSIONS, ...this.#tables.map(({ path }) => path)];
    const rankOf = (name: string) => (name === this.#choices.captions ? -1 : order.indexOf(name));
    return [...counts].map(([name, captions]) => ({ name, captions })).sort((a, b) => rankOf(a.name) - rankOf(b.name));
  }
}

function captionFor<E extends ImportEntry>(
  { folder, file, modified }: FoundFile<E>,
  { path, text }: { path: string; text: string },
): FoundFile<E> {
  const sizeBytes = new TextEncoder().encode(text).length;
  return { folder, file: { name: `${stemOf(file.name)}.txt`, path, sizeBytes, content: { text } }, modified };
}

/**
 * Finds the file that a row names: by its path from the table, or else by the longest end of it that one file alone has. Tables of
 * other machines have absolute paths, and kohya's have no extension.
 */
function mediaFinder<E extends ImportEntry>(media: readonly FoundFile<E>[], folder: string) {
  const exact = new Map<string, FoundFile<E>>();
  const byEnding = new Map<string, FoundFile<E> | undefined>();
  for (const found of media) {
    const path = found.file.path.normalize('NFC');
    exact.set(path, found);
    for (const ending of endingsOf(path)) {
      for (const key of [ending, stemOf(ending)]) byEnding.set(key, byEnding.has(key) ? undefined : found);
    }
  }
  return (named: string): FoundFile<E> | undefined => {
    const path = named
      .trim()
      .replaceAll('\\', '/')
      .replace(/^(\.\/)+/, '')
      .normalize('NFC');
    const own = exact.get(folder === '' ? path : `${folder}/${path}`);
    if (own !== undefined) return own;
    for (const ending of endingsOf(path)) {
      const found = byEnding.get(ending);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

/** `a/b/c.jpg`, `b/c.jpg` and `c.jpg`. */
function endingsOf(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(index).join('/'));
}
