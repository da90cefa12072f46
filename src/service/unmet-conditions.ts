import type { WriteCondition } from '../dataset/dataset.js';
import { type CurrentFile, meetsCondition } from '../dataset/write-condition.js';
import type { ServiceDependencies } from './dependencies.js';

interface ConditionalWrite {
  readonly filename: string;
  readonly condition?: WriteCondition | undefined;
}

/**
 * Finds writes whose conditions are not met now, so that their bytes are not sent or stored in vain. The transaction that
 * stores a file decides.
 *
 * @returns the stored file of each of these names, `undefined` if there is none
 */
export async function unmetConditions(
  { catalog }: Pick<ServiceDependencies, 'catalog'>,
  datasetId: string,
  writes: readonly ConditionalWrite[],
): Promise<Map<string, CurrentFile | undefined>> {
  const conditional = writes.filter(({ condition }) => condition !== undefined);
  if (conditional.length === 0) return new Map();
  const filenames = conditional.map(({ filename }) => filename);
  const stored = new Map((await catalog.storedFiles({ datasetId, filenames })).map((file) => [file.filename, file]));
  return new Map(
    conditional
      .filter(({ filename, condition }) => !meetsCondition(condition, stored.get(filename)))
      .map(({ filename }) => [filename, stored.get(filename)?.upload]),
  );
}
