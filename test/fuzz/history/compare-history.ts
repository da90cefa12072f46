import type { WireRevision } from '../../../src/api/history-schemas.js';
import type { WireFile } from '../../../src/api/schemas.js';
import type { TrainyardClient } from '../../../src/client/client.js';
import { expectSame } from '../check.js';
import {
  differenceOf,
  digestOfFiles,
  type Files,
  type HistoryModel,
  isFit,
  type ModelRevision,
} from './history-model.js';
import { sha256 } from '../../harness/sha256.js';

/** Revisions on a page of the list, so that there are several pages. */
const PAGE_SIZE = 4;

/** A dataset, and what it must be like. */
export interface Compared {
  readonly client: TrainyardClient;
  readonly id: string;
  readonly model: HistoryModel;
  /** All bytes that were sent, by their SHA-256. */
  readonly contents: ReadonlyMap<string, Buffer>;
}

/** Compares the stored files and the latest revision with the model. */
export async function compareLatest({ client, id, model, contents }: Compared): Promise<void> {
  const { files } = await client.status(id);
  expectSame('the stored files', sortedFiles(filesOf(files)), sortedFiles(model.files));
  const { revisions } = await client.history.revisions(id, { limit: 1 });
  expectSame('the number of the latest revision', revisions[0]?.number, model.latest?.number);
  if (model.latest !== undefined) compareRevision(revisions[0]!, model.latest, { model, contents });
}

/** Compares all revisions, their files, the differences between them and their bytes with the model. */
export async function compareHistory({ client, id, model, contents }: Compared): Promise<void> {
  const listed = await listRevisions(client, id);
  const numbers = model.revisions.map(({ number }) => number);
  expectSame(
    'the numbers of the revisions',
    listed.map(({ number }) => number),
    numbers,
  );
  const read = new Set<string>();
  for (const [i, revision] of model.revisions.entries()) {
    const { number } = revision;
    compareRevision(listed[i]!, revision, { model, contents });
    const found = await client.history.revision(id, number);
    expectSame(`the files of revision ${number}`, sortedFiles(filesOf(found.manifest)), sortedFiles(revision.files));
    compareRevision(found, revision, { model, contents });
    for (const [filename, hash] of revision.files) {
      if (read.has(`${filename} ${hash}`)) continue;
      read.add(`${filename} ${hash}`);
      const response = await client.file(id, filename, { revision: number });
      const bytes = Buffer.from(await response.arrayBuffer());
      expectSame(`the bytes of ${filename} in revision ${number}`, sha256(bytes), hash);
    }
  }
}

/** Every text of the list is in a revision. */
export function expectKept(model: HistoryModel, texts: readonly { filename: string; hash: string }[]): void {
  for (const { filename, hash } of texts) {
    const isKept = model.revisions.some(({ files }) => files.get(filename) === hash);
    if (!isKept) throw new Error(`${filename} was acknowledged with ${hash}, which is in no revision`);
  }
}

/** All revisions, oldest first. */
export async function listRevisions(client: TrainyardClient, id: string): Promise<WireRevision[]> {
  const listed: WireRevision[] = [];
  for (let before: number | null | undefined; before !== null; ) {
    const query = before === undefined ? { limit: PAGE_SIZE } : { limit: PAGE_SIZE, before };
    const page = await client.history.revisions(id, query);
    listed.push(...page.revisions);
    before = page.next_before;
  }
  return listed.reverse();
}

export function filesOf(files: readonly Pick<WireFile, 'filename' | 'sha256'>[]): Map<string, string> {
  return new Map(files.map(({ filename, sha256: hash }) => [filename, hash]));
}

function compareRevision(
  { number, how, restored_from, digest, ready, is_latest, files, bytes, ...rest }: WireRevision,
  revision: ModelRevision,
  { model, contents }: Pick<Compared, 'model' | 'contents'>,
): void {
  const found = { number, how, restored_from, digest, ready, is_latest, files, bytes };
  expectSame(`revision ${number}`, found, {
    number: revision.number,
    how: revision.how,
    restored_from: revision.restoredFrom,
    digest: digestOfFiles(revision.files),
    ready: isFit(revision.files),
    is_latest: revision === model.latest,
    files: revision.files.size,
    bytes: [...revision.files.values()].reduce((sum, hash) => sum + (contents.get(hash)?.length ?? Number.NaN), 0),
  });
  if (revision.before === undefined) return;
  const { added, removed, changed } = rest;
  const expected = differenceOf(revision.before, revision.files);
  expectSame(`the changes of revision ${number}`, { added, removed, changed }, expected);
}

function sortedFiles(files: Files): [string, string][] {
  return [...files].sort(([a], [b]) => (a < b ? -1 : 1));
}
