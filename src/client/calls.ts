import { PAGE_HEADER } from '../api/base-path.js';
import type { WireGroupChange } from '../api/group-schemas.js';
import { MAX_NAMES_PER_REQUEST } from '../api/limits.js';
import type { ZipForm } from '../api/request-schemas.js';
import type { WireLinkSlot, WireRole } from '../api/values.js';
import type { WebhookEvent } from '../api/webhook-schemas.js';
import type { MediaChoice } from '../dataset/train/training-dataset.js';
import type { QueryOf, SentBodyOf } from '../api/routes.js';
import type { CallOptions, Requests, RevisionOptions } from './requests.js';

export class Calls {
  protected readonly requests: Requests;

  constructor(requests: Requests) {
    this.requests = requests;
  }
}

/**
 * Changes what a dataset is called and what it is for. trainyard only.
 * @example await client.datasets.change(dataset.id, { name: 'railway-depth', role: 'control' });
 */
export class DatasetCalls extends Calls {
  /** Changes the name and the role; what is missing stays. */
  change(id: string, changes: { name?: string; role?: WireRole }, options: CallOptions = {}) {
    return this.requests.json('dataset.change', { id }, { body: changes, ...options });
  }
}

/**
 * Links training datasets to their controls and masks. trainyard only.
 * @example
 * await client.pairs.setLinks(dataset.id, { control_1: 'railway-depth' });
 * const { links, status } = await client.pairs.links(dataset.id);
 */
export class PairCalls extends Calls {
  /** Gets the controls and the mask of a training dataset, and the stems whose pairs are wrong. */
  links(id: string, options: CallOptions = {}) {
    return this.requests.json('links.read', { id }, options);
  }

  /** Replaces all links of a training dataset, each given by id or name. */
  setLinks(id: string, links: Partial<Record<WireLinkSlot, string | null | undefined>>, options: CallOptions = {}) {
    return this.requests.json('links.replace', { id }, { body: links, ...options });
  }
}

/**
 * Inspects files again that were accepted before. trainyard only.
 * @example
 * const { total } = await client.rechecks.start(dataset.id);
 * const { state, checked, problems } = await client.rechecks.progress(dataset.id);
 */
export class RecheckCalls extends Calls {
  /** Starts to inspect all files of a dataset again, in the background, unless that is running. */
  start(id: string, options: CallOptions = {}) {
    return this.requests.json('dataset.recheck', { id }, options);
  }

  /** Gets the progress of the last recheck of a dataset, and the problems of its files. */
  progress(id: string, options: CallOptions = {}) {
    return this.requests.json('dataset.recheck-progress', { id }, options);
  }
}

/**
 * Finds images that look alike. trainyard only.
 * @example
 * const { groups, pending } = await client.duplicates.list(dataset.id);
 * await client.duplicates.decide(dataset.id, { filenames: ['yard_01.jpg', 'yard_02.jpg'], different: true });
 */
export class DuplicateCalls extends Calls {
  /** Lists groups of duplicates, each around the file to keep. `pending` images were not compared yet. */
  list(id: string, options: CallOptions = {}) {
    return this.requests.json('duplicates.list', { id }, options);
  }

  /** Remembers that the bytes of these files differ from one another, or forgets a decision about the same files. */
  decide(id: string, decision: { filenames: string[]; different: boolean }, options: CallOptions = {}) {
    return this.requests.json('duplicates.decide', { id }, { body: decision, ...options });
  }
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
    { add = [], remove = [], ...change }: WireGroupChange,
    options: CallOptions = {},
  ) {
    const slices = [
      ...slicesOf(add).map((slice) => ({ add: slice })),
      ...slicesOf(remove).map((slice) => ({ remove: slice })),
    ];
    const [first = {}, ...rest] = slices;
    let group = await this.requests.json(
      'group.save',
      { id, group: name },
      { body: { ...change, ...first }, ...options },
    );
    for (const slice of rest)
      group = await this.requests.json('group.save', { id, group: name }, { body: slice, ...options });
    return group;
  }

  /** Deletes a group. Its files stay, and belong to no group. */
  remove(id: string, name: string, options: CallOptions = {}) {
    return this.requests.remove('group.delete', { id, group: name }, options);
  }
}

/** @returns the items in slices for one request each */
export function slicesOf<T>(items: readonly T[]): T[][] {
  const slices: T[][] = [];
  for (let i = 0; i < items.length; i += MAX_NAMES_PER_REQUEST) slices.push(items.slice(i, i + MAX_NAMES_PER_REQUEST));
  return slices;
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
  revisions(id: string, query: { limit?: number; before?: number } = {}, options: CallOptions = {}) {
    return this.requests.json('revision.list', { id }, { query, ...options });
  }

  /** Gets one revision with all its files. */
  revision(id: string, number: number, options: CallOptions = {}) {
    return this.requests.json('revision.read', { id, number }, options);
  }

  /** Gets one page of the files that differ, with captions; `next_after` is the next page's `after`. `from` 0 is no files. */
  diff(id: string, query: { from: number; to: number; limit?: number; after?: string }, options: CallOptions = {}) {
    return this.requests.json('revision.diff', { id }, { query, ...options });
  }

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
  unpin(id: string, number: number, options: CallOptions = {}) {
    return this.requests.json('revision.unpin', { id, number }, options);
  }
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
  end(options: CallOptions = {}) {
    return this.requests.remove('session.end', {}, options);
  }

  /** Makes a code that signs in one browser, once, within a minute: open the page with `#code=` and the code. */
  code(options: CallOptions = {}) {
    return this.requests.json('session.code', {}, options);
  }
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
  async list(options: CallOptions = {}) {
    return (await this.requests.json('token.list', {}, options)).tokens;
  }

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
  async list(id: string, options: CallOptions = {}) {
    return (await this.requests.json('share.list', { id }, options)).tokens;
  }

  /** Makes a link that can't be read again, and expires after a week by default. */
  make(id: string, options: CallOptions & { name?: string | undefined; expiresInSeconds?: number } = {}) {
    const { name, expiresInSeconds, signal } = options;
    const body = { name, expires_in: expiresInSeconds };
    return this.requests.json('share.create', { id }, { body, isRepeatable: false, signal });
  }

  /** Revokes a share of a dataset: its link no longer opens the page. */
  revoke(id: string, shareId: string, options: CallOptions = {}) {
    return this.requests.json('share.revoke', { id, share_id: shareId }, options);
  }
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
  async list(options: CallOptions = {}) {
    return (await this.requests.json('webhook.list', {}, options)).webhooks;
  }

  /** Makes a webhook, for all events by default. Only this answer has the secret that verifies the signatures. */
  add(url: string, { events, ...options }: CallOptions & { events?: readonly WebhookEvent[] | undefined } = {}) {
    // A second attempt could make another webhook.
    return this.requests.json('webhook.create', {}, { body: { url, events }, isRepeatable: false, ...options });
  }

  /** Changes, enables or disables a webhook. Events that wait are then sent at once. */
  change(
    id: string,
    change: { url?: string; events?: readonly WebhookEvent[]; enabled?: boolean },
    options: CallOptions = {},
  ) {
    return this.requests.json('webhook.change', { webhook_id: id }, { body: change, ...options });
  }

  /** Deletes a webhook and its deliveries. */
  remove(id: string, options: CallOptions = {}) {
    return this.requests.remove('webhook.delete', { webhook_id: id }, options);
  }

  /** Sends a test event. `deliveries` tells how it ended. */
  test(id: string, options: CallOptions = {}) {
    return this.requests.json('webhook.test', { webhook_id: id }, options);
  }

  /** Lists the last deliveries of a webhook, newest first. */
  async deliveries(id: string, options: CallOptions = {}) {
    return (await this.requests.json('webhook.deliveries', { webhook_id: id }, options)).deliveries;
  }

  /** Sends a delivery again, under the same id. */
  resend(id: string, deliveryId: string, options: CallOptions = {}) {
    return this.requests.json('webhook.resend', { webhook_id: id, delivery_id: deliveryId }, options);
  }
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
  async endpoints(options: CallOptions = {}) {
    return (await this.requests.json('caption-endpoint.list', {}, options)).endpoints;
  }

  /** Sends a small picture to a model, which may have to be loaded. */
  test(endpoint: string, options: CallOptions = {}) {
    return this.requests.json('caption-endpoint.test', { endpoint }, { isRepeatable: false, ...options });
  }

  /** Lists the prompts: built-in ones, then those of the account. */
  async presets(options: CallOptions = {}) {
    return (await this.requests.json('caption-preset.list', {}, options)).presets;
  }

  /** Saves a prompt of the account, or replaces it. */
  savePreset(preset: string, prompt: string, options: CallOptions = {}) {
    return this.requests.json('caption-preset.save', { preset }, { body: { prompt }, ...options });
  }

  /** Deletes a prompt of the account. */
  removePreset(preset: string, options: CallOptions = {}) {
    return this.requests.remove('caption-preset.delete', { preset }, options);
  }

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
  async runs(id: string, options: CallOptions = {}) {
    return (await this.requests.json('caption-run.list', { id }, options)).runs;
  }

  /** Gets the progress of a run, and the files that failed. */
  run(id: string, runId: string, options: CallOptions = {}) {
    return this.requests.json('caption-run.read', { id, run_id: runId }, options);
  }

  /** Stops a run, whose captions are then stored. */
  stop(id: string, runId: string, options: CallOptions = {}) {
    return this.requests.json('caption-run.stop', { id, run_id: runId }, options);
  }

  /** Resumes a run that was stopped, or has failed files. */
  resume(id: string, runId: string, options: CallOptions = {}) {
    return this.requests.json('caption-run.resume', { id, run_id: runId }, options);
  }

  /** Lists one page of the open proposals; `next_after` is the `after` of the next page. */
  proposals(id: string, query: Partial<QueryOf<'proposal.list'>> = {}, options: CallOptions = {}) {
    return this.requests.json('proposal.list', { id }, { query, ...options });
  }

  /** Accepts and dismisses up to 1,000 proposals each. Requests of one client with a `change` are one revision. */
  decide(id: string, decisions: SentBodyOf<'proposal.decide'>, options: CallOptions = {}) {
    return this.requests.json('proposal.decide', { id }, { body: decisions, ...options });
  }
}
