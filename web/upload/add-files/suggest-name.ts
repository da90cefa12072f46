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
