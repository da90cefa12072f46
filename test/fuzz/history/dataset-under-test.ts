import { contentOf } from '../../faults/contents.js';
import type { TrainyardClient } from '../../../src/client/client.js';
import { sha256 } from '../contents.js';
import { type Compared, filesOf } from './compare-history.js';
import { type Author, HistoryModel } from './history-model.js';
import type { Installation } from './installation.js';
import type { Text } from './steps.js';

/** A dataset that a sequence changes, with all that the clients have sent and were told. */
export class DatasetUnderTest {
  readonly installation: Installation;
  readonly id: string;
  readonly name: string;
  readonly model = new HistoryModel();
  /** Each text that the server has acknowledged, by its SHA-256. */
  readonly acknowledged: { readonly filename: string; readonly hash: string }[] = [];
  /** The files as the page last read them. */
  seen = new Map<string, string>();
  readonly #contents = new Map<string, Buffer>();
  #sent = 0;

  constructor(installation: Installation, { id, name }: { id: string; name: string }) {
    this.installation = installation;
    this.id = id;
    this.name = name;
  }

  get compared(): Compared {
    return { client: this.installation.page(), id: this.id, model: this.model, contents: this.#contents };
  }

  newId(): string {
    return `change-${++this.#sent}`;
  }

  /** The client of the page, for the requests of one new change. */
  pageFor(how: 'edit' | 'bulk'): TrainyardClient {
    return this.installation.page({ how, id: this.newId() });
  }

  content(filename: string, text: Text): Buffer {
    const bytes = contentOf(filename, text === 'new' ? `text ${++this.#sent}` : `a ${text} wagon`);
    this.#contents.set(sha256(bytes), bytes);
    return bytes;
  }

  /** Applies a change of one file that the server has acknowledged. */
  change(author: Author, filename: string, hash: string | undefined): void {
    this.model.change(author, new Map([[filename, hash]]));
    this.acknowledge(filename, hash);
  }

  acknowledge(filename: string, hash: string | undefined): void {
    if (hash !== undefined) this.acknowledged.push({ filename, hash });
  }

  /** The page reads the dataset. */
  async look(): Promise<void> {
    this.seen = filesOf((await this.installation.page().status(this.id)).files);
  }

  /** The page has read a file, or that there is none. */
  note(filename: string, hash: string | undefined): void {
    if (hash === undefined) this.seen.delete(filename);
    else this.seen.set(filename, hash);
  }
}

/** As the page sends it with an edit: null if there must be no such file. */
export function etagOf(hash: string | undefined): string | null {
  return hash === undefined ? null : `"${hash}"`;
}
