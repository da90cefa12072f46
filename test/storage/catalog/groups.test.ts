import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import { MAX_GROUPS } from '../../../src/dataset/groups.js';
import { onCatalogs } from '../../harness/backends.js';
import { imageNamed } from '../../harness/stored-image.js';

let ids = 0;

function image(datasetId: string, filename: string, sha256 = 'ab'.repeat(32)): StoredFile {
  const { upload, ...file } = imageNamed('a');
  return { ...file, id: `file-${++ids}`, datasetId, filename, upload: { ...upload, sha256 } };
}

onCatalogs((open) => {
  const opened = async (...filenames: string[]) => {
    const { catalog, accountId, openAnother } = await open();
    const key = { accountId, id: `d-${++ids}` };
    await catalog.createDataset({ ...key, name: `groups ${ids}`, createdAt: 1 });
    const put = (filename: string, sha256?: string) =>
      catalog.change({ datasetId: key.id, filenames: [filename], now: 5, isActivity: true }, (group) =>
        store(group, image(key.id, filename, sha256), undefined),
      );
    for (const filename of filenames) await put(filename);
    const save = (name: string, change: { add?: string[]; remove?: string[]; repeats?: number } = {}) =>
      catalog.groups.save(key, { name, add: [], remove: [], ...change }, 9);
    const groupIn = async () => {
      const { groups } = (await (await openAnother()).catalog.record(key))!;
      const files = (await catalog.files(key.id)).map(({ filename, group }) => [filename, group]);
      return { groups, files: Object.fromEntries(files) };
    };
    return { catalog, key, put, save, groupIn };
  };

  test('a group and the group of each file are there for other processes, and go together', async () => {
    const { catalog, key, put, save, groupIn } = await opened('a.jpg', 'b.jpg');
    expect(await save('cat', { repeats: 3, add: ['a.jpg'] })).toEqual({
      name: 'cat',
      repeats: 3,
      isReg: false,
      files: 1,
    });
    await put('a.jpg', 'cd'.repeat(32));
    await put('a.png');
    const cat = { name: 'cat', repeats: 3, isReg: false };
    expect(await groupIn()).toEqual({ groups: [cat], files: { 'a.jpg': 'cat', 'a.png': 'cat', 'b.jpg': undefined } });
    expect(await catalog.groups.remove({ ...key, accountId: 'other' }, 'cat', 9)).toBe(false);
    expect(
      await catalog.groups.save({ ...key, accountId: 'other' }, { name: 'cat', add: [], remove: [] }, 9),
    ).toBeUndefined();
    expect(await catalog.groups.remove(key, 'cat', 9)).toBe(true);
    expect(await groupIn()).toEqual({
      groups: [],
      files: { 'a.jpg': undefined, 'a.png': undefined, 'b.jpg': undefined },
    });
    // The replaced bytes too: undo would bring back a group that is gone.
    const author = { tokenId: null, tokenName: null, how: 'undo', changeId: null } as const;
    await catalog.restore({ datasetId: key.id, number: 1, author, now: 9 });
    expect((await groupIn()).files).toEqual({ 'a.jpg': undefined });
  });

  test('there are 200 groups at most, and a rejected change writes nothing', async () => {
    const names = Array.from({ length: MAX_GROUPS + 1 }, (_, i) => `${i}.jpg`);
    const { save, groupIn } = await opened(...names);
    for (const [i, name] of names.slice(0, MAX_GROUPS).entries()) await save(`group ${i}`, { add: [name] });
    await expect(save('one more', { add: [names.at(-1)!] })).rejects.toMatchObject({ code: 'invalid_field' });
    expect((await groupIn()).files[names.at(-1)!]).toBeUndefined();
    // An existing one takes it.
    expect(await save('group 0', { add: [names.at(-1)!] })).toMatchObject({ files: 2 });
  });
});
