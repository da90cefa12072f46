import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { digestOf } from '../../../src/dataset/digest.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import { RevisionManifests } from '../../../src/service/history/revision-manifests.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';

/* Many clients change a dataset and list its revisions: the digest of a revision is not computed for each of them. */

const REVISIONS = 12;
const REQUESTS = 30;

function captionOf(n: number): StoredFile {
  const facts = { kind: 'caption', characters: 1 } as const;
  const bytes = { sizeBytes: 1, sha256: `${n}`.padStart(64, '0'), contentType: 'text/plain', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: null, finalizedAt: n } as const;
  return { id: `f${n}`, datasetId: 'd', filename: `${n}.txt`, kind: 'caption', createdAt: n, upload };
}

onEach(catalogs, (open) => {
  /** A dataset of which no digest is known, and how often digests are computed and the files of revisions read. */
  const openMany = async () => {
    const { accountId, database } = await open();
    const counts = { digests: 0, reads: 0 };
    const failures: Error[] = [];
    const counting: Database = {
      ...database,
      read: async (...args) => {
        counts.reads++;
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
        return database.read(...args);
      },
      transact: (options, work) =>
        database.transact(options, ({ send, commit }) =>
          work({
            send,
            commit: (statements) => {
              const isDigest = ({ compile }: (typeof statements)[number]) => /set "digest" = /.test(compile().sql);
              counts.digests += statements.filter((each) => isDigest({ compile: () => each.compile() })).length;
              return commit(statements);
            },
          }),
        ),
    };
    const catalog = new Catalog(counting, { blobGrace: 0 });
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 0 });
    const change = async (n: number) => {
      const author = { ...laptop, changeId: `${n}` };
      const options = { datasetId: 'd', filenames: [`${n}.txt`], now: n, isActivity: true, author };
      await catalog.change(options, (group) => store(group, captionOf(n), undefined));
    };
    for (let n = 1; n <= REVISIONS; n++) await change(n);
    const manifests = new RevisionManifests(catalog);
    const list = async () => {
      const dataset = (await catalog.dataset({ accountId, id: 'd' }))!;
      const views = await manifests.viewsOf(dataset, await catalog.revisions.page('d', { limit: 100 }));
      return views.map(({ digest }) => digest);
    };
    return { change, list, counts, failures, database };
  };
  const digestsOf = (revisions: number) =>
    Array.from({ length: revisions }, (_, i) =>
      digestOf(Array.from({ length: revisions - i }, (_file, n) => captionOf(n + 1))),
    );

  test('requests that come at once share the computation of digests', async () => {
    const { list, counts } = await openMany();
    const lists = await Promise.all(Array.from({ length: REQUESTS }, list));
    for (const digests of lists) expect(digests).toEqual(digestsOf(REVISIONS));
    expect(counts).toEqual({ digests: REVISIONS, reads: 1 });
  });

  test('those that come after a change meanwhile share the next one, which computes what is new', async () => {
    const { list, change, counts } = await openMany();
    const first = list();
    while (counts.reads === 0) await turn();
    await change(REVISIONS + 1);
    const lists = await Promise.all(Array.from({ length: REQUESTS }, list));
    expect(await first).toEqual(digestsOf(REVISIONS));
    for (const digests of lists) expect(digests).toEqual(digestsOf(REVISIONS + 1));
    expect(counts.digests).toBe(REVISIONS + 1);
    expect(counts.reads).toBe(2);
  });

  test('revisions with very many changes are read a few at a time', async () => {
    const { list, counts, database } = await openMany();
    // Revisions 7 to 12 have 50,000 past files; each one before has more than that besides the files of the next.
    await database.query.updateTable('revision').set({ changed: 10_000 }).where('number', '>', 6).execute();
    await database.query.updateTable('revision').set({ removed: 60_000 }).where('number', '<=', 6).execute();
    expect(await list()).toEqual(digestsOf(REVISIONS));
    expect(counts).toEqual({ digests: REVISIONS, reads: 7 });
  });

  test('revisions on both sides of one that is not kept are read on their own', async () => {
    const { list, counts, database } = await openMany();
    await database.query.deleteFrom('revision').where('number', '=', 5).execute();
    expect(await list()).toEqual(digestsOf(REVISIONS).filter((_, i) => i !== REVISIONS - 5));
    expect(counts).toEqual({ digests: REVISIONS - 1, reads: 2 });
  });

  test('a failure ends the requests that share it; those after it are answered', async () => {
    const { list, counts, failures } = await openMany();
    failures.push(new Error('the database is away'));
    const failed = list();
    await expect(Promise.all([failed, list()])).rejects.toThrow('away');
    expect(await list()).toEqual(digestsOf(REVISIONS));
    expect(counts.digests).toBe(REVISIONS);
  });
});
