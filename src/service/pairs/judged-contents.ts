import { type DatasetFile, type Micros, type StatusRules, type StoredFile, statusOf } from '../../dataset/dataset.js';
import { PAIR_FAULTS } from '../../dataset/pairs/pair-faults.js';
import type { ContentsOptions, DatasetContents } from '../../storage/catalog/dataset-contents.js';
import type { DatasetKeyOfAccount } from '../../storage/catalog/dataset-changes.js';
import type { ServiceDependencies } from '../dependencies.js';
import { StateCache } from '../state-cache.js';
import { type JudgedLinks, judgeLinks } from './link-views.js';

interface Dependencies extends Pick<ServiceDependencies, 'catalog' | 'now'> {
  readonly rules: StatusRules;
}

/** What is left out. */
export type JudgedOptions = Pick<ContentsOptions, 'withoutWarnings'>;

/** Stems and problems that are remembered, of all datasets; a few hundred bytes each. */
const MAX_REMEMBERED = 100_000;

/** What a link without problems counts: it takes a kilobyte or two. */
const SIZE_OF_LINK = 10;

/** A dataset and its files at one moment, and what is wrong with its pairs. */
export interface JudgedContents extends Omit<DatasetContents, 'linkedFiles'> {
  /** At which its links were judged. */
  readonly at: Micros;
  readonly links: JudgedLinks;
}

/**
 * Reads datasets and judges their links. A client polls a status many times between two changes, and to judge pairs needs
 * all files of the linked datasets; so it remembers what it found for as long as no dataset of the link changes.
 */
export class JudgedContentsReader {
  readonly #dependencies: Dependencies;
  readonly #remembered = new StateCache<JudgedLinks>(MAX_REMEMBERED);

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** @returns `undefined` if the account has no such dataset */
  async read(key: DatasetKeyOfAccount, options: JudgedOptions = {}): Promise<JudgedContents | undefined> {
    return (await this.#readRemembered(key, options)) ?? (await this.#readAndJudge(key, options));
  }

  /** Reads no file of the linked datasets. @returns `undefined` if what is remembered is no longer true */
  async #readRemembered(key: DatasetKeyOfAccount, options: JudgedOptions): Promise<JudgedContents | undefined> {
    if (!this.#remembered.has(key.id)) return undefined;
    const contents = await this.#contentsOf(key, { ...options, isAlone: true });
    const links = contents && this.#remembered.get(key.id, stateOf(contents, this.#dependencies.rules));
    return contents && links && { ...contents, links };
  }

  async #readAndJudge(key: DatasetKeyOfAccount, options: JudgedOptions): Promise<JudgedContents | undefined> {
    const contents = await this.#contentsOf(key, options);
    if (contents === undefined) return undefined;
    const { dataset, files, linkedFiles, at } = contents;
    const links = judgeLinks({ dataset, files: files.filter(isSound), linkedFiles }, at, this.#dependencies.rules);
    if (dataset.links.length > 0) {
      const state = stateOf(contents, this.#dependencies.rules);
      this.#remembered.set(key.id, state, { value: links, size: sizeOf(links) });
    }
    return { dataset, files, at, links };
  }

  async #contentsOf(key: DatasetKeyOfAccount, options: ContentsOptions) {
    const { catalog, now } = this.#dependencies;
    const contents = await catalog.contents(key, options);
    return contents && { ...contents, at: now() };
  }
}

/** Equal for two moments only if the stored files, the pairs, and what is said of both are equal. */
export function stateOf({ dataset, at }: Pick<JudgedContents, 'dataset' | 'at'>, rules: StatusRules): string {
  const linked = dataset.links.map((link) => {
    const { id, version, counts } = link.dataset;
    return [link.slot, id, version, statusOf(counts, at, rules)];
  });
  return JSON.stringify([dataset.version, linked]);
}

function sizeOf({ views, problems }: JudgedLinks): number {
  const stems = views.flatMap(({ proof }) => PAIR_FAULTS.map((fault) => proof[fault].length));
  return stems.reduce((sum, count) => sum + count, SIZE_OF_LINK * views.length + problems.length);
}

function isSound(file: DatasetFile): file is StoredFile {
  return file.upload.state === 'stored' && file.upload.problem === undefined;
}
