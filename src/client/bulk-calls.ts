import type { WireCaption, WireRemovedFiles, WireSavedCaptions, WireWithdrawnUploads } from '../api/schemas.js';
import { Calls, slicesOf } from './calls.js';
import { hasBytes } from './push-file.js';
import type { CallOptions, RevisionOptions } from './requests.js';

export interface CaptionToSave {
  readonly filename: string;
  readonly text: string;
  /** The ETag of the caption that it replaces; `null`: there must be none. */
  readonly ifMatch?: string | null;
}

/**
 * Reads, writes and removes many files at once, up to 1,000 in a request. trainyard only.
 * @example
 * const [caption] = await client.bulk.captions(dataset.id, ['yard_01.txt']);
 * await client.bulk.saveCaptions(dataset.id, [{ filename: 'yard_01.txt', text: 'dusk', ifMatch: etag }]);
 * await client.bulk.removeFiles(dataset.id, ['yard_02.jpg', 'yard_02.txt']);
 */
export class BulkCalls extends Calls {
  /** Texts in the order of the filenames, without byte order marks; `null` for more than 64 KiB, which `client.file` reads. */
  async captions(id: string, filenames: readonly string[], options: RevisionOptions = {}) {
    const query = { revision: options.revision };
    const captions: WireCaption[] = [];
    for (const slice of slicesOf(filenames)) {
      const call = { query, body: { filenames: slice }, ...options };
      captions.push(...(await this.requests.json('captions.read', { id }, call)).captions);
    }
    return captions;
  }

  /** Reads up to 1,000 files as one tar archive, in the order of the filenames given. */
  archive(id: string, filenames: readonly string[], options: RevisionOptions = {}) {
    const query = { revision: options.revision };
    return this.requests.response('files.archive', { id }, { query, body: { filenames }, ...options });
  }

  /** Says for each caption whether it was saved, what is there if its `ifMatch` was not met, or what is wrong with it. */
  async saveCaptions(id: string, captions: readonly CaptionToSave[], options: CallOptions = {}) {
    const save = (slice: readonly CaptionToSave[]) =>
      this.requests.change('captions.save', { id }, { body: { captions: slice }, ...options });
    const saved: WireSavedCaptions['captions'] = [];
    for (const slice of slicesOf(captions)) {
      const { answer, isRepeated } = await save(slice);
      // Captions that an earlier attempt saved are sent once more, to replace themselves.
      const own = isRepeated ? await ownOf(slice, answer.captions) : new Map<number, CaptionToSave>();
      const again = own.size === 0 ? [] : (await save([...own.values()])).answer.captions;
      const indexes = [...own.keys()];
      for (const [k, result] of again.entries()) answer.captions[indexes[k]!] = result;
      saved.push(...answer.captions);
    }
    return saved;
  }

  /** Deletes files, with any pending or rejected uploads of their names. With `ifMatch`, only those that have these ETags. */
  async removeFiles(
    id: string,
    filenames: readonly string[],
    { ifMatch, ...options }: CallOptions & { ifMatch?: Readonly<Record<string, string>> } = {},
  ) {
    const removed: WireRemovedFiles['files'] = [];
    for (const slice of slicesOf(filenames)) {
      const tags = Object.fromEntries(slice.flatMap((name) => (ifMatch?.[name] ? [[name, ifMatch[name]]] : [])));
      const call = { body: { filenames: slice, ...(ifMatch && { ifMatch: tags }) }, ...options };
      const { answer, isRepeated } = await this.requests.change('files.delete', { id }, call);
      // An earlier attempt may have deleted it and lost the answer.
      const isDeleted = ({ deleted, current }: (typeof removed)[number]) => deleted || (isRepeated && !current);
      removed.push(
        ...answer.files.map((file) => (isDeleted(file) ? { filename: file.filename, deleted: true } : file)),
      );
    }
    return removed;
  }

  /** Deletes the pending, rejected or expired uploads of filenames. Stored files of these names stay. */
  async withdraw(id: string, filenames: readonly string[], options: CallOptions = {}) {
    const results: WireWithdrawnUploads['uploads'] = [];
    for (const slice of slicesOf(filenames)) {
      const call = { body: { filenames: slice }, ...options };
      const { answer, isRepeated } = await this.requests.change('uploads.withdraw', { id }, call);
      results.push(...answer.uploads.map((each) => ({ ...each, withdrawn: each.withdrawn || isRepeated })));
    }
    return results;
  }
}

/** By index, captions that were not saved because the dataset has exactly these texts. */
async function ownOf(captions: readonly CaptionToSave[], results: WireSavedCaptions['captions']) {
  const own = new Map<number, CaptionToSave>();
  for (const [i, { current }] of results.entries()) {
    const { filename, text } = captions[i] ?? { filename: '', text: '' };
    if (current && (await hasBytes(current, new Blob([text])))) own.set(i, { filename, text, ifMatch: current.etag });
  }
  return own;
}
