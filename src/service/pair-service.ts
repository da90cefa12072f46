import type { LinkSlot } from '../dataset/dataset.js';
import { type FieldProblem, ServiceError } from '../dataset/errors.js';
import { LINK_SLOTS, slotText } from '../dataset/pairs/roles.js';
import type { NewLink } from '../storage/catalog/pairs/links.js';
import type { DatasetRecord } from '../storage/catalog/rows.js';
import { type DatasetKey, datasetNotFound, findRecord } from './datasets.js';
import type { ServiceDependencies } from './dependencies.js';

type Dependencies = Pick<ServiceDependencies, 'catalog' | 'now'>;

export class PairService {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Replaces all links. A slot without the id or name of a dataset has none.
   *
   * @throws ServiceError `dataset_not_found`, `invalid_field`, `wrong_role`
   */
  async replaceLinks(
    key: DatasetKey,
    wanted: Readonly<Partial<Record<LinkSlot, string | null | undefined>>>,
    { boundIds }: { boundIds: readonly string[] | null },
  ): Promise<void> {
    const { catalog, now } = this.#dependencies;
    await findRecord(catalog, key);
    const links: NewLink[] = [];
    for (const slot of LINK_SLOTS) {
      const nameOrId = wanted[slot] ?? undefined;
      if (nameOrId === undefined) continue;
      const found = await this.#find(key.accountId, nameOrId);
      if (found === undefined || (boundIds !== null && !boundIds.includes(found.id))) throw notFound(slot, nameOrId);
      links.push({ slot, linkedId: found.id });
    }
    const problems = problemsOf(key.id, links);
    if (problems.length > 0) {
      const sentences = problems.map(({ path, message }) => `"${path}" ${message}.`);
      throw new ServiceError('invalid_field', `The links are not valid: ${sentences.join(' ')}`, { detail: problems });
    }
    if (!(await catalog.links.replace(key, { links, now: now() }))) throw datasetNotFound(key.id);
  }

  /** An id wins over a name. */
  async #find(accountId: string, nameOrId: string): Promise<DatasetRecord | undefined> {
    const { catalog } = this.#dependencies;
    const byId = await catalog.record({ accountId, id: nameOrId });
    if (byId !== undefined) return byId;
    return (await catalog.records({ accountId, name: nameOrId.trim().normalize('NFC'), limit: 1 }))[0];
  }
}

function problemsOf(id: string, links: readonly NewLink[]): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const slots = new Set(links.map(({ slot }) => slot));
  const seen = new Map<string, LinkSlot>();
  for (const { slot, linkedId } of links) {
    const other = seen.get(linkedId);
    if (linkedId === id) problems.push({ path: slot, message: 'is the dataset itself' });
    if (other !== undefined) problems.push({ path: slot, message: `is the same dataset as ${slotText(other)}` });
    seen.set(linkedId, slot);
  }
  for (const [slot, needed] of [
    ['control_2', 'control_1'],
    ['control_3', 'control_2'],
  ] as const) {
    if (slots.has(slot) && !slots.has(needed)) problems.push({ path: slot, message: `needs a ${slotText(needed)}` });
  }
  return problems;
}

function notFound(slot: LinkSlot, nameOrId: string): ServiceError {
  const message = `The ${slotText(slot)} does not exist: there is no dataset ${JSON.stringify(nameOrId)}. Create it with the role ${slot === 'mask' ? 'mask' : 'control'} first.`;
  return new ServiceError('dataset_not_found', message);
}
