import { MAX_NAMES_PER_REQUEST } from '../api/limits.js';
import type { WireCaption, WireRemovedFiles, WireSavedCaptions, WireWithdrawnUploads } from '../api/schemas.js';
import { Calls } from './calls.js';
import { hasBytes } from './push-file.js';
import type { CallOptions, RevisionOptions } from './requests.js';
import { invalidAnswer } from './trainyard-error.js';

/** A caption to save. */
export interface CaptionToSave {
  readonly filename: string;
  readonly text: string;
  /** The ETag of the caption that it replaces; `null`: there is none. Without it, the caption is saved in any case. */
  readonly ifMatch?: string | null;
}

/** Reads, writes and removes many files at once, up to 1,000 in a request. trainyard only. */
export class BulkCalls extends Calls {
  /**
   * Reads the texts of captions, in the order of the filenames given. A byte order mark is removed and nothing else. The
   * text of a caption over 64 KiB is `null`; read it with `client.file`.
   * @example const [caption] = await client.bulk.captions(dataset.id, ['yard_01.txt']);
   */
  async captions(id: string, filenames: readonly string[], options: RevisionOptions = {}) {
    const query = { revision: options.revision };
    const captions: WireCaption[] = [];
    for (const slice of slicesOf(filenames)) {
      const call = { query, body: { filenames: slice }, ...options };
      const answer = await this.requests.json('captions.read', { id }, call);
      captions.push(...resultsOf(slice, answer.captions));
    }
    return captions;
  }

  /**
   * Reads up to 1,000 files as one tar archive, in the order of the filenames given.
   * @example const { body } = await client.bulk.archive(dataset.id, ['yard_01.jpg', 'yard_01.txt']);
   */
  archive(id: string, filenames: readonly string[], options: RevisionOptions = {}) {
    const query = { revision: options.revision };
    return this.requests.response('files.archive', { id }, { query, body: { filenames }, ...options });
  }

  /**
   * Saves captions. Of each, the answer says whether it was saved, what is there now if its `ifMatch` was not met, or what is
   * wrong with its text.
   * @example const [saved] = await client.bulk.saveCaptions(dataset.id, [{ filename: 'yard_01.txt', text: 'dusk', ifMatch: etag }]);
   */
  async saveCaptions(id: string, captions: readonly CaptionToSave[], options: CallOptions = {}) {
    const saved: WireSavedCaptions['captions'] = [];
    for (const slice of slicesOf(captions)) {
      const { answer, isRepeated } = await this.#save(id, slice, options);
      // An earlier attempt may have saved captions. As in an upload, these are sent once more, to replace themselves.
      const own = isRepeated ? await ownOf(slice, answer) : new Map<number, CaptionToSave>();
      if (own.size > 0) {
        const again = await this.#save(id, [...own.values()], options);
        const indexes = [...own.keys()];
        for (const [k, result] of again.answer.entries()) answer[indexes[k]!] = result;
      }
      saved.push(...answer);
    }
    return saved;
  }

  async #save(id: string, captions: readonly CaptionToSave[], options: CallOptions) {
    const call = { body: { captions }, ...options };
    const changed = await this.requests.change('captions.save', { id }, call);
    return { ...changed, answer: resultsOf(captions, changed.answer.captions) };
  }

  /**
   * Deletes files, with any pending or rejected uploads of their names. With `ifMatch`, only those that have these ETags.
   * @example await client.bulk.removeFiles(dataset.id, ['yard_01.jpg', 'yard_01.txt']);
   */
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
      const results = resultsOf(slice, answer.files);
      // As in the removal of one file: an earlier attempt may have deleted it and lost the answer.
      const isDeleted = ({ deleted, current }: (typeof results)[number]) => deleted || (isRepeated && !current);
      removed.push(...results.map((file) => (isDeleted(file) ? { filename: file.filename, deleted: true } : file)));
    }
    return removed;
  }

  /**
   * Deletes the pending, rejected or expired uploads of filenames. Stored files of these names stay.
   * @example await client.bulk.withdraw(dataset.id, ['a.mp4', 'b.mp4']);
   */
  async withdraw(id: string, filenames: readonly string[], options: CallOptions = {}) {
    const withdrawn: WireWithdrawnUploads['uploads'] = [];
    for (const slice of slicesOf(filenames)) {
      const call = { body: { filenames: slice }, ...options };
      const { answer, isRepeated } = await this.requests.change('uploads.withdraw', { id }, call);
      const results = resultsOf(slice, answer.uploads);
      withdrawn.push(...results.map((upload) => ({ ...upload, withdrawn: upload.withdrawn || isRepeated })));
    }
    return withdrawn;
  }
}

/** The captions of a request that were not saved because the dataset has exactly these texts, by index, to replace themselves. */
async function ownOf(captions: readonly CaptionToSave[], results: WireSavedCaptions['captions']) {
  const own = new Map<number, CaptionToSave>();
  for (const [i, { current }] of results.entries()) {
    const { filename, text } = captions[i]!;
    if (current && (await hasBytes(current, new Blob([text])))) own.set(i, { filename, text, ifMatch: current.etag });
  }
  return own;
}

/** @throws TrainyardError if there are more results than names were sent, which could be more than a call takes as arguments */
function resultsOf<T>(slice: readonly unknown[], results: T[]): T[] {
  if (results.length > slice.length) throw invalidAnswer(200, 'it has more results than names were sent.');
  return results;
}

function slicesOf<T>(items: readonly T[]): T[][] {
  const slices: T[][] = [];
  for (let i = 0; i < items.length; i += MAX_NAMES_PER_REQUEST) slices.push(items.slice(i, i + MAX_NAMES_PER_REQUEST));
  return slices;
}
