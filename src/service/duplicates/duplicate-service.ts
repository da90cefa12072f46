import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { DuplicateGroup } from '../../dataset/duplicates/duplicate-groups.js';
import { normalizedFilename } from '../../dataset/names.js';
import type { Comparable } from '../../storage/catalog/perceptual-hashes.js';
import { type DatasetKey, fileNotFound, findRecord } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

/** How long other requests may wait for a comparison of twenty thousand files. */
const MAX_BLOCK_MS = 10;

export class DuplicateService {
  readonly #catalog: ServiceDependencies['catalog'];

  constructor({ catalog }: Pick<ServiceDependencies, 'catalog'>) {
    this.#catalog = catalog;
  }

  /** @throws ServiceError `dataset_not_found`, `unavailable` if many datasets are being read */
  async find(key: DatasetKey): Promise<{ groups: DuplicateGroup[]; pending: number }> {
    await findRecord(this.#catalog, key);
    // Loaded late: its tables take time that a start does not need.
    const { duplicateGroups } = await import('../../dataset/duplicates/duplicate-groups.js');
    return this.#catalog.readMany(key.accountId, async () => {
      const { files, pending, decisions } = await this.#catalog.hashes.comparable(key.id);
      const groups: DuplicateGroup[] = [];
      let begun = performance.now();
      for (const group of duplicateGroups(files, differencesIn(decisions))) {
        if (group !== undefined) groups.push(group);
        if (performance.now() - begun < MAX_BLOCK_MS) continue;
        await turn();
        begun = performance.now();
      }
      return { groups, pending };
    });
  }

  /** Remembers that the bytes of files differ, or forgets a decision. @throws ServiceError `dataset_not_found`, `file_not_found` */
  async decide(key: DatasetKey, rawNames: readonly string[], areDifferent: boolean): Promise<void> {
    await findRecord(this.#catalog, key);
    const filenames = rawNames.map(normalizedFilename);
    const found = await this.#catalog.storedFiles({ datasetId: key.id, filenames });
    const missing = filenames.find((name) => !found.some(({ filename }) => filename === name));
    if (missing !== undefined) throw fileNotFound(missing);
    const sha256s = [...new Set(found.map(({ upload }) => upload.sha256))].sort();
    const decision = createHash('sha256').update(sha256s.join(' ')).digest('hex');
    await this.#catalog.hashes.decide(key.id, { decision, sha256s, areDifferent });
  }
}

function differencesIn(decisions: Comparable['decisions']): (a: string, b: string) => boolean {
  const byFile = new Map<string, Set<string>>();
  for (const { decision, sha256 } of decisions) byFile.set(sha256, (byFile.get(sha256) ?? new Set()).add(decision));
  return (a, b) => [...(byFile.get(a) ?? [])].some((decision) => byFile.get(b)?.has(decision));
}
