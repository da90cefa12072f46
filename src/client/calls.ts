import { MAX_NAMES_PER_REQUEST, PAGE_HEADER } from '../api/limits.js';
import type * as wire from '../api/schemas.js';
import type { ZipForm } from '../api/request-schemas.js';
import type { AnswerOf, ArgumentsOf, PathArgumentsOf, RouteName, SentBodyOf } from '../api/routes.js';
import type { WebhookEvent } from '../api/webhook-schemas.js';
import type { MediaChoice } from '../dataset/train/training-dataset.js';
import { hasBytes } from './push-file.js';
import type { CallOptions, RepeatOptions, Requests, RevisionOptions, WriteOptions } from './requests.js';

/** Calls a route: with the parameters of its path in order, then its body or else its query, then options. */
type Method<N extends RouteName, Answer = AnswerOf<N>> = (
  ...given: [...ArgumentsOf<N>, options?: CallOptions | undefined]
) => Promise<Answer>;

/** Makes methods from the table of routes. */
export class Calls {
  protected readonly requests: Requests;

  constructor(requests: Requests) {
    this.requests = requests;
  }

  protected method<N extends RouteName>(name: N, options?: RepeatOptions): Method<N> {
    return (...given) => this.requests.call(name, given, options);
  }

  /** A method that returns one field of the answer. */
  protected field<N extends RouteName, Field extends keyof AnswerOf<N>>(name: N, field: Field) {
    const call = this.method(name);
    const method: Method<N, AnswerOf<N>[Field]> = async (...given) => (await call(...given))[field];
    return method;
  }

  /** A method that deletes what the path of a route names. */
  protected removal<N extends RouteName>(name: N) {
    return (...given: [...PathArgumentsOf<N>, options?: WriteOptions | undefined]) => this.requests.remove(name, given);
  }
}

/**
 * Changes what a dataset is called and what it is for. trainyard only.
 * @example await client.datasets.change(dataset.id, { name: 'railway-depth', role: 'control' });
 */
export class DatasetCalls extends Calls {
  /** Changes the name and the role; what is missing stays. */
  readonly change = this.method('dataset.change');
}

/**
 * Links training datasets to their controls and masks. trainyard only.
 * @example
 * await client.pairs.setLinks(dataset.id, { control_1: 'railway-depth' });
 * const { links, status } = await client.pairs.links(dataset.id);
 */
export class PairCalls extends Calls {
  /** Gets the controls and the mask of a training dataset, and the stems whose pairs are wrong. */
  readonly links = this.method('links.read');

  /** Replaces all links of a training dataset, each given by id or name. */
  readonly setLinks = this.method('links.replace');
}

/**
 * Inspects files again that were accepted before. trainyard only.
 * @example
 * const { total } = await client.rechecks.start(dataset.id);
 * const { state, checked, problems } = await client.rechecks.progress(dataset.id);
 */
export class RecheckCalls extends Calls {
  /** Starts to inspect all files of a dataset again, in the background, unless that is running. */
  readonly start = this.method('dataset.recheck');

  /** Gets the progress of the last recheck of a dataset, and the problems of its files. */
  readonly progress = this.method('dataset.recheck-progress');
}

/**
 * Finds images that look alike. trainyard only.
 * @example
 * const { groups, pending } = await client.duplicates.list(dataset.id);
 * await client.duplicates.decide(dataset.id, { filenames: ['yard_01.jpg', 'yard_02.jpg'], different: true });
 */
export class DuplicateCalls extends Calls {
  /** Lists groups of duplicates, each around the file to keep. `pending` images were not compared yet. */
  readonly list = this.method('duplicates.list');

  /** Remembers that the bytes of these files differ from one another, or forgets a decision about the same files. */
  readonly decide = this.method('duplicates.decide');
}

/** By default, all files of now as they are. */
export interface ExportOptions extends RevisionOptions {
  readonly as?: ZipForm | undefined;
  readonly only?: MediaChoice | undefined;
}

/**
 * Downloads datasets as archives and tables. trainyard only.
 * @example
 * const archive = await (await client.exports.zip(dataset.id, { as: 'kohya' })).blob();
 * const table = await (await client.exports.csv(dataset.id)).text();
 */
export class ExportCalls extends Calls {
  /** All files as a zip archive. The rest from a byte on is answered with 206, unless the archive has another ETag now. */
  zip(
    id: string,
    { as, only, revision, from, etag, signal }: ExportOptions & { from?: number; etag?: string | undefined } = {},
  ) {
    const headers: Record<string, string> = from ? { range: `bytes=${from}-`, ...(etag && { 'if-range': etag }) } : {};
    return this.requests.response('files.zip', { id }, { query: { as, only, revision }, headers, signal });
  }

  /** Up to 20,000 files as a zip archive. */
  selection(id: string, filenames: readonly string[], { as, only, revision, signal }: ExportOptions = {}) {
    const call = { query: { as, only, revision }, body: { filenames: [...filenames] }, signal };
    return this.requests.response('files.zip-selection', { id }, call);
  }

  /** The captions as csv, with the columns `file_name` and `text`. */
  csv(id: string, { only, revision, signal }: Omit<ExportOptions, 'as'> = {}) {
    return this.requests.response('captions.csv', { id }, { query: { only, revision }, signal });
  }
}

/**
 * Groups of files, which trainers read a number of times in each epoch. A dataset's are in `groups` of its status and manifest, and
 * each file has the name of its `group`. trainyard only.
 * @example
 * await client.groups.save(dataset.id, 'cat', { repeats: 10, add: ['cat_01.jpg', 'cat_02.jpg'] });
 * await client.groups.save(dataset.id, 'cat', { remove: ['cat_02.jpg'] });
 */
export class GroupCalls extends Calls {
  /** Makes or changes a group. A file is in one group at most, with its captions. A new group needs files. */
  async save(
    id: string,
    name: string,
    { add = [], remove = [], ...change }: wire.WireGroupChange,
    options: CallOptions = {},
  ) {
    const call = (body: wire.WireGroupChange) =>
      this.requests.json('group.save', { id, group: name }, { body, ...options });
    const [first = {}, ...rest] = [
      ...slicesOf(add).map((slice) => ({ add: slice })),
      ...slicesOf(remove).map((slice) => ({ remove: slice })),
    ];
    let group = await call({ ...change, ...first });
    for (const slice of rest) group = await call(slice);
    return group;
  }

  /** Deletes a group. Its files stay, and belong to no group. */
  readonly remove = this.removal('group.delete');
}

/** @returns the items in slices for one request each */
export function slicesOf<T>(items: readonly T[]): T[][] {
  const slices: T[][] = [];
  for (let i = 0; i < items.length; i += MAX_NAMES_PER_REQUEST) slices.push(items.slice(i, i + MAX_NAMES_PER_REQUEST));
  return slices;
}

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
  async captions(id: string, filenames: readonly string[], { revision, signal }: RevisionOptions = {}) {
    const captions: wire.WireCaption[] = [];
    for (const slice of slicesOf(filenames)) {
      const call = { query: { revision }, body: { filenames: slice }, signal };
      captions.push(...(await this.requests.json('captions.read', { id }, call)).captions);
    }
    return captions;
  }

  /** Reads up to 1,000 files as one tar archive, in the order of the filenames given. */
  archive(id: string, filenames: readonly string[], { revision, signal }: RevisionOptions = {}) {
    return this.requests.response('files.archive', { id }, { query: { revision }, body: { filenames }, signal });
  }

  /** Says for each caption whether it was saved, what is there if its `ifMatch` was not met, or what is wrong with it. */
  async saveCaptions(id: string, captions: readonly CaptionToSave[], options: CallOptions = {}) {
    const save = (slice: readonly CaptionToSave[]) =>
      this.requests.change('captions.save', { id }, { body: { captions: slice }, ...options });
    const saved: wire.WireSavedCaptions['captions'] = [];
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
    const removed: wire.WireRemovedFiles['files'] = [];
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
    const results: wire.WireWithdrawnUploads['uploads'] = [];
    for (const slice of slicesOf(filenames)) {
      const call = { body: { filenames: slice }, ...options };
      const { answer, isRepeated } = await this.requests.change('uploads.withdraw', { id }, call);
      results.push(...answer.uploads.map((each) => ({ ...each, withdrawn: each.withdrawn || isRepeated })));
    }
    return results;
  }
}

/** By index, captions that were not saved because the dataset has exactly these texts. */
async function ownOf(captions: readonly CaptionToSave[], results: wire.WireSavedCaptions['captions']) {
  const own = new Map<number, CaptionToSave>();
  for (const [i, { current }] of results.entries()) {
    const { filename, text } = captions[i] ?? { filename: '', text: '' };
    if (current && (await hasBytes(current, new Blob([text])))) own.set(i, { filename, text, ifMatch: current.etag });
  }
  return own;
}

/**
 * Reads, restores and pins the revisions of a dataset. trainyard only.
 * @example
 * const { revisions } = await client.history.revisions(dataset.id, { limit: 10 });
 * const { added, removed, changed } = await client.history.diff(dataset.id, { from: 11, to: 12 });
 * const { undone, kept } = await client.history.undo(dataset.id, 12);
 * await client.history.pin(dataset.id, 12, { note: 'trained v3 on this' });
 */
export class HistoryCalls extends Calls {
  /** Lists one page of the kept revisions, newest first; `next_before` is the `before` of the next page. */
  readonly revisions = this.method('revision.list');

  /** Gets one revision with all its files. */
  readonly revision = this.method('revision.read');

  /** Gets one page of the files that differ, with captions; `next_after` is the next page's `after`. `from` 0 is no files. */
  readonly diff = this.method('revision.diff');

  /** Restores the files of a revision as a new revision. Pending uploads stay. */
  async restore(id: string, number: number, options: CallOptions = {}) {
    const { answer, isRepeated } = await this.requests.change('revision.restore', { id, number }, options);
    // An earlier attempt may have restored it and lost the answer.
    const { how, restored_from } = answer.revision;
    return isRepeated && how === 'restore' && restored_from === number ? { ...answer, restored: true } : answer;
  }

  /** Reverses a revision, except files that were changed again since, which are in `kept`. */
  async undo(id: string, number: number, options: CallOptions = {}) {
    const { answer, isRepeated } = await this.requests.change('revision.undo', { id, number }, options);
    if (!isRepeated || answer.revision !== null || answer.undone.length === 0) return answer;
    // An earlier attempt may have made the revision and lost the answer.
    const [latest] = (await this.revisions(id, { limit: 1 }, options)).revisions;
    return latest?.how === 'undo' && latest.restored_from === number ? { ...answer, revision: latest } : answer;
  }

  /** Keeps a revision until it is unpinned or the dataset is deleted. */
  pin(id: string, number: number, { note, ...options }: CallOptions & { note?: string | undefined } = {}) {
    return this.requests.json('revision.pin', { id, number }, { body: { note }, ...options });
  }

  /** Ends the pin of a revision, which is then kept as long as others. */
  readonly unpin = this.method('revision.unpin');
}

/**
 * Signs the page of the service in and out, by a cookie that scripts can't read. trainyard only.
 * @example
 * const { id } = await client.sessions.start();
 * await client.sessions.end();
 */
export class SessionCalls extends Calls {
  /** Starts a session in this browser, with the token's rights or a code. Works only for the service's own page. */
  start({ code, ...options }: CallOptions & { code?: string } = {}) {
    // A code works once, also if its answer is lost.
    const request = { isRepeatable: false, headers: { [PAGE_HEADER]: '1' }, ...(code && { body: { code } }) };
    return this.requests.json('session.start', {}, { ...request, ...options });
  }

  /** Ends the session of this browser. */
  readonly end = this.removal('session.end');

  /** Makes a code that signs in one browser, once, within a minute: open the page with `#code=` and the code. */
  readonly code = this.method('session.code');
}

/** By default, a new token has the rights of the token that makes it. */
export interface NewTokenRights {
  /** Who or what uses it, for the history of datasets. */
  readonly name?: string | undefined;
  readonly readOnly?: boolean;
  /** Names or ids of the datasets that it is bound to. */
  readonly datasets?: readonly string[] | undefined;
  readonly expiresInSeconds?: number | undefined;
}

/**
 * Lists, makes and revokes the tokens of the account. trainyard only.
 * @example
 * const { id, secret } = await client.tokens.make({ name: 'gpu', readOnly: true, datasets: ['railway'] });
 * await client.tokens.revoke(id);
 */
export class TokenCalls extends Calls {
  /** Lists what is not revoked, oldest first, without secrets. A token that is bound to datasets sees only itself. */
  readonly list = this.field('token.list', 'tokens');

  /** Makes a token that does not outlive this one. Its secret can't be read again. Needs a token that may change all datasets. */
  make({ name, readOnly, datasets, expiresInSeconds }: NewTokenRights = {}, options: CallOptions = {}) {
    const body = { name, read_only: readOnly, datasets, expires_in: expiresInSeconds };
    // If the answer of the first attempt was lost, a second one would make another token.
    return this.requests.json('token.create', {}, { body, isRepeatable: false, ...options });
  }

  /** Revokes a token with its sessions, shares and, with `withMade`, tokens. `current`: this client's token is among them. */
  revoke(id: string, { withMade, ...options }: CallOptions & { withMade?: boolean } = {}) {
    const query = { with_made: withMade ? ('true' as const) : undefined };
    return this.requests.json('token.revoke', { token_id: id }, { query, ...options });
  }
}

/**
 * The share links of a dataset: pages that show its current files without an account. trainyard only.
 * @example const { url, expires_at } = await client.shares.make(dataset.id, { name: 'Ada', expiresInSeconds: 86_400 });
 */
export class ShareCalls extends Calls {
  /** Lists the shares of a dataset that are not revoked, oldest first, without their links. */
  readonly list = this.field('share.list', 'tokens');

  /** Makes a link that can't be read again, and expires after a week by default. */
  make(id: string, options: CallOptions & { name?: string | undefined; expiresInSeconds?: number } = {}) {
    const { name, expiresInSeconds, signal } = options;
    const body = { name, expires_in: expiresInSeconds };
    return this.requests.json('share.create', { id }, { body, isRepeatable: false, signal });
  }

  /** Revokes a share of a dataset: its link no longer opens the page. */
  readonly revoke = this.method('share.revoke');
}

/**
 * The account's webhooks, to which the service sends status changes of datasets. trainyard only.
 * @example
 * const { id, secret } = await client.webhooks.add('https://queue.example/hook', { events: ['dataset.ready'] });
 * await client.webhooks.test(id);
 * const [latest] = await client.webhooks.deliveries(id);
 */
export class WebhookCalls extends Calls {
  /** Lists the webhooks of the account, oldest first. */
  readonly list = this.field('webhook.list', 'webhooks');

  /** Makes a webhook, for all events by default. Only this answer has the secret that verifies the signatures. */
  add(url: string, { events, ...options }: CallOptions & { events?: readonly WebhookEvent[] | undefined } = {}) {
    // A second attempt could make another webhook.
    return this.requests.json('webhook.create', {}, { body: { url, events }, isRepeatable: false, ...options });
  }

  /** Changes, enables or disables a webhook. Events that wait are then sent at once. */
  readonly change = this.method('webhook.change');

  /** Deletes a webhook and its deliveries. */
  readonly remove = this.removal('webhook.delete');

  /** Sends a test event. `deliveries` tells how it ended. */
  readonly test = this.method('webhook.test');

  /** Lists the last deliveries of a webhook, newest first. */
  readonly deliveries = this.field('webhook.deliveries', 'deliveries');

  /** Sends a delivery again, under the same id. */
  readonly resend = this.method('webhook.resend');
}

/**
 * Captions by a model: directly for files without one, as proposals for the others. trainyard only.
 * @example
 * const { summary } = await client.captioning.plan(dataset.id, { preset: 'sentence' });
 * const { run } = await client.captioning.start(dataset.id, { endpoint: 'local', trigger: 'p3nny' });
 * const { proposals } = await client.captioning.proposals(dataset.id, { limit: 100 });
 * await client.captioning.decide(dataset.id, { accept: proposals.map(({ id }) => ({ id })) });
 */
export class CaptioningCalls extends Calls {
  /** Lists the model servers that the operator has named, and asks each whether it answers. */
  readonly endpoints = this.field('caption-endpoint.list', 'endpoints');

  /** Sends a small picture to a model, which may have to be loaded. */
  readonly test = this.method('caption-endpoint.test', { isRepeatable: false });

  /** Lists the prompts: built-in ones, then those of the account. */
  readonly presets = this.field('caption-preset.list', 'presets');

  /** Saves a prompt of the account, or replaces it. */
  savePreset(preset: string, prompt: string, options: CallOptions = {}) {
    return this.requests.json('caption-preset.save', { preset }, { body: { prompt }, ...options });
  }

  /** Deletes a prompt of the account. */
  readonly removePreset = this.removal('caption-preset.delete');

  /** Counts what a run would do. */
  plan(id: string, run: SentBodyOf<'caption-run.start'> = {}, options: CallOptions = {}) {
    return this.requests.json('caption-run.plan', { id }, { body: run, ...options });
  }

  /** Starts a run. `run` is null if no file is left for it. */
  start(id: string, run: SentBodyOf<'caption-run.start'> = {}, options: CallOptions = {}) {
    // A second attempt could start another run.
    return this.requests.json('caption-run.start', { id }, { body: run, isRepeatable: false, ...options });
  }

  /** Lists the runs of a dataset, newest first. */
  readonly runs = this.field('caption-run.list', 'runs');

  /** Gets the progress of a run, and the files that failed. */
  readonly run = this.method('caption-run.read');

  /** Stops a run, whose captions are then stored. */
  readonly stop = this.method('caption-run.stop');

  /** Resumes a run that was stopped, or has failed files. */
  readonly resume = this.method('caption-run.resume');

  /** Lists one page of the open proposals; `next_after` is the `after` of the next page. */
  readonly proposals = this.method('proposal.list');

  /** Accepts and dismisses up to 1,000 proposals each. Requests of one client with a `change` are one revision. */
  readonly decide = this.method('proposal.decide');
}
