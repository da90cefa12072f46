import { expect, onTestFinished, test, vi } from 'vitest';
import { FolderNames } from '../../src/cli/fix/folder-names.js';
import { folderWith } from '../harness/folder.js';

/** The names that are compared while each of so many images, of which half have a twin, is to be converted. */
async function comparisonsOf(count: number): Promise<number> {
  const names = Array.from({ length: count }, (_, i) => `${i >> 1}.${i % 2 === 0 ? 'gif' : 'bmp'}`).slice(count / 2);
  names.push(...Array.from({ length: count / 2 }, (_, i) => `single ${i}.gif`));
  const folder = await FolderNames.read(await folderWith(Object.fromEntries(names.map((name) => [name, '']))));
  const compared = vi.spyOn(String.prototype, 'normalize');
  onTestFinished(() => compared.mockRestore());
  let leftAlone = 0;
  for (const from of names) {
    await folder.claim(`${from.slice(0, -4)}.png`, { from, isConverted: true }).catch(() => leftAlone++);
  }
  expect(leftAlone).toBe(count / 2);
  const { length } = compared.mock.calls;
  compared.mockRestore();
  return length;
}

test('the work to reserve names grows with their number, also of names that collide', async () => {
  const [few, many] = [await comparisonsOf(100), await comparisonsOf(400)];
  expect(few).toBeGreaterThan(100);
  expect(many).toBe(4 * few);
});

test('of names that differ only in case, each is the twin of the other', async () => {
  const folder = await FolderNames.read(await folderWith({ 'A.gif': 'one', 'a.gif': 'another' }));
  await expect(folder.claim('A.png', { from: 'A.gif', isConverted: true })).rejects.toThrow('there is a.gif already');
  await expect(folder.claim('a.png', { from: 'a.gif', isConverted: true })).rejects.toThrow('there is A.gif already');
});
