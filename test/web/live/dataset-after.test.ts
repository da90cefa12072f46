// @module-tag long
import { expect, test } from 'vitest';
import { type DatasetFile, type DatasetWithFiles, TrainyardClient } from '../../../src/client/client.js';
import { datasetAfter } from '../../../web/live/dataset-after.js';
import * as media from '../../fixtures/media.js';
import { sharedServer } from '../../harness/shared-server.js';

const server = await sharedServer();

/** A job adds them later, and changes no time. */
function withoutPlaceholders<T extends { readonly files: readonly DatasetFile[] }>({ files, ...dataset }: T) {
  return { ...dataset, files: files.map(({ thumbhash: _, ...file }) => file) };
}

test('a dataset that is changed by its events equals its status', async () => {
  const [api, image] = [await server.api(), await media.jpeg()];
  const id = await api.newDataset();
  const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  const save =
    (...filenames: string[]) =>
    () =>
      client.bulk.saveCaptions(
        id,
        filenames.map((filename) => ({ filename, text: `the caption ${filename}` })),
      );
  const blank = (filename: string) => () => client.bulk.saveCaptions(id, [{ filename, text: '' }]);
  const remove =
    (...filenames: string[]) =>
    () =>
      client.bulk.removeFiles(id, filenames);
  const add =
    (filename: string, bytes = image) =>
    () =>
      api.upload(id, filename, bytes);
  const steps = [
    ...[add('a.jpg'), save('a.txt'), add('b.jpg'), add('c.png', await media.png()), save('b.txt', 'c.txt')],
    ...[blank('a.txt'), save('a.txt'), save('a.TXT', 'lost.txt'), remove('a.TXT'), remove('b.txt'), save('b.txt')],
    ...[remove('b.txt', 'c.txt'), save('c.txt'), add('b.png', await media.png()), add('B.jpg')],
    ...[add('b.txt', Buffer.from('words')), remove('a.jpg', 'b.jpg', 'b.png', 'B.jpg', 'c.png')],
    ...[add('a.gif', await media.gif()), remove('a.gif'), remove('lost.txt', 'a.txt', 'b.txt', 'c.txt'), add('z.jpg')],
    ...[add('m.mp4', media.clip('faststart.mp4')), add('n.mp4', media.clip('moov-last.mp4'))],
    ...[save('m.txt'), blank('m.txt')],
  ];

  const events = client.events(id);
  await events.next();
  let known: DatasetWithFiles = await client.status(id);
  const seen = new Set<string>();
  let reads = 0;
  for (const [index, step] of steps.entries()) {
    await step();
    const { digest: _, ...status } = await client.status(id);
    while (known.updated_at !== status.updated_at) {
      const change = (await events.next()).value!;
      if (change.counts.pending > 0) continue;
      const next = datasetAfter(known, change);
      // The counts may be those after a change that has the next event.
      if (next === undefined) reads++;
      known = next ?? (await client.status(id));
    }
    const { digest: _digest, ...own } = known;
    expect(withoutPlaceholders(own), `after step ${index}`).toEqual(withoutPlaceholders(status));
    for (const { code } of [...(status.error?.problems ?? []), ...status.warnings]) seen.add(code);
  }
  await events.return(undefined);
  expect(reads).toBeLessThan(steps.length / 2);
  expect([...seen].sort()).toEqual([
    'BLANK_CAPTION',
    'MISSING_CAPTION',
    'MIXED_MEDIA',
    'MIXED_SOUND',
    'NAME_COLLISION',
    'NOT_TRAINED_ON',
    'NO_MEDIA',
    'NO_TRAINABLE_MEDIA',
    'ORPHAN_CAPTION',
    'SHARED_STEM',
    'SIMILAR_STEM',
  ]);
});
