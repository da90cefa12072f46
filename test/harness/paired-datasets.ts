import { stemGroupsOf } from '../../src/dataset/counts.js';
import type { Dataset, LinkSlot, Role, StoredFile } from '../../src/dataset/dataset.js';
import { mediaTypeOf, stemOf } from '../../src/dataset/media.js';
import { errorIn } from '../../src/dataset/problems.js';
import { remove, type StemGroup, store } from '../../src/dataset/upload-transitions.js';
import type { Catalog } from '../../src/storage/catalog/catalog.js';
import { laptop } from './author.js';

type Size = readonly [width: number, height: number];

let ids = 0;
const newId = () => `pairs-${String(++ids).padStart(6, '0')}`;

/** Makes datasets of pairs in a catalog, changes their files, and counts the errors of pairs in a way of its own. */
export class PairedDatasets {
  readonly catalog: Catalog;
  readonly accountId: string;

  constructor({ catalog, accountId }: { catalog: Catalog; accountId: string }) {
    this.catalog = catalog;
    this.accountId = accountId;
  }

  async create(role: Role): Promise<string> {
    const id = newId();
    await this.catalog.createDataset({ id, accountId: this.accountId, name: id, role, createdAt: 10 });
    return id;
  }

  link(targetId: string, links: Partial<Record<LinkSlot, string>>): Promise<boolean> {
    const rows = Object.entries(links).map(([slot, linkedId]) => ({ slot: slot as LinkSlot, linkedId }));
    return this.catalog.links.replace({ accountId: this.accountId, id: targetId }, { links: rows, now: 40 });
  }

  put(datasetId: string, filenames: readonly string[], { size = [1024, 768] }: { size?: Size } = {}) {
    const files = stemGroupsOf(filenames.map((filename) => stored(datasetId, filename, size)));
    const change = { datasetId, filenames, now: 50, isActivity: true, author: laptop };
    return this.catalog.change(change, (group, stem) =>
      (files.get(stem) ?? []).reduce<StemGroup>((changed, file) => store(changed, file, undefined), group),
    );
  }

  remove(datasetId: string, filename: string) {
    const change = { datasetId, filenames: [filename], now: 60, isActivity: true, author: laptop };
    return this.catalog.change(change, (group) => remove(group, filename));
  }

  /** Makes the first file damaged, or sound again, as a recheck does. */
  async damage(datasetId: string): Promise<void> {
    const [first] = (await this.catalog.files(datasetId)).sort((a, b) => (a.filename < b.filename ? -1 : 1));
    if (first === undefined) return;
    const change = { datasetId, filenames: [first.filename], now: 65, isActivity: false };
    await this.catalog.change(change, (group) =>
      group.map((file) => {
        if (file.id !== first.id || file.upload.state !== 'stored') return file;
        const { problem, ...sound } = file.upload;
        const damaged = { ...sound, problem: errorIn(file.filename, 'IMAGE_CORRUPT', 'broken') };
        return { ...file, upload: problem === undefined ? damaged : sound };
      }),
    );
  }

  /** The errors of all pairs of a dataset, from all its files. */
  async errorsOf({ id, links }: Dataset): Promise<number> {
    const own = await this.#soundFiles(id);
    const stems = new Set(own.filter(isTrained).map(({ filename }) => stemOf(filename)));
    let errors = 0;
    for (const { slot, dataset } of links) {
      const linked = await this.#soundFiles(dataset.id);
      for (const stem of stems) {
        const targets = own.filter((file) => isTrained(file) && stemOf(file.filename) === stem);
        const found = linked.filter((file) => isTrained(file) && stemOf(file.filename) === stem);
        if (!isPaired(targets, found, slot)) errors++;
      }
    }
    return errors;
  }

  async #soundFiles(datasetId: string): Promise<StoredFile[]> {
    const files = await this.catalog.files(datasetId);
    return files.filter(
      (file): file is StoredFile => file.upload.state === 'stored' && file.upload.problem === undefined,
    );
  }
}

function isTrained({ filename, kind }: StoredFile): boolean {
  return kind !== 'caption' && !filename.endsWith('.gif');
}

/** Of the sizes in these tests: landscape, portrait, and one that is too small for a control. */
function isPaired(targets: readonly StoredFile[], found: readonly StoredFile[], slot: LinkSlot): boolean {
  const images = found.filter(({ kind }) => kind === 'image');
  if (images.length > 1) return false;
  const [image] = images;
  if (image === undefined) {
    return slot !== 'mask' && found.length > 0 && targets.every(({ kind }) => kind === 'video');
  }
  if (slot !== 'mask') return widthOf(image) >= 64 || targets.every(({ kind }) => kind === 'video');
  const isPortrait = (file: StoredFile) => widthOf(file) === 768;
  return targets.every((target) => isPortrait(target) === isPortrait(image));
}

function widthOf({ upload: { facts } }: StoredFile): number {
  return facts.kind === 'caption' ? 0 : (facts.width ?? 0);
}

function stored(datasetId: string, filename: string, [width, height]: Size): StoredFile {
  const { kind } = mediaTypeOf(filename)!;
  const facts =
    kind === 'caption' ? ({ kind, characters: 1 } as const) : ({ kind, format: 'x', width, height } as const);
  const bytes = { sizeBytes: 1, sha256: newId().padStart(64, '0'), contentType: 'x', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: null, finalizedAt: 5 } as const;
  return { id: newId(), datasetId, filename, kind, createdAt: 1, upload };
}
