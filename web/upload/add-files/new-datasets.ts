import type { Dataset, TrainyardClient } from '../../../src/client/client.js';
import type { Role } from '../../../src/dataset/dataset.js';
import { parseDatasetName } from '../../../src/dataset/names.js';

/**
 * Turns a folder's name into the name of a new dataset that the service accepts; `''` if that is not possible.
 *
 * @param isFree whether no dataset has the name, nor another name that is made of it
 */
export function suggestName(folder: string, isFree: (name: string) => boolean): string {
  const plain = folder.replace(/[^\p{L}\p{M}\p{Nd} ._-]/gu, '-').replace(/^[.\s]+/, '');
  for (let count = 1; ; count++) {
    try {
      const name = parseDatasetName(count === 1 ? plain : `${plain} ${count}`);
      if (isFree(name)) return name;
    } catch {
      return '';
    }
  }
}

/**
 * Makes datasets in order. After a failure, also of `link`, none of them is left.
 *
 * @param wanted without a name, the service makes one
 * @returns the datasets by their keys
 * @throws TrainyardError, such as `name_taken`
 */
export async function makeDatasets<K>(
  client: TrainyardClient,
  wanted: readonly { readonly key: K; readonly name: string | undefined; readonly role: Role }[],
  link?: (made: ReadonlyMap<K, Dataset>) => Promise<void>,
): Promise<ReadonlyMap<K, Dataset>> {
  const made = new Map<K, Dataset>();
  try {
    for (const { key, name, role } of wanted) made.set(key, await client.create(name, { role }));
    await link?.(made);
    return made;
  } catch (error) {
    // A training dataset comes first: the others can be deleted only while none is linked to them.
    for (const { id } of made.values()) await client.remove(id).catch(() => {});
    throw error;
  }
}
