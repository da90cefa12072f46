import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainyardClient } from '../../../src/client/client.js';
import { findingsOf } from '../../harness/checking.js';
import { trainyard } from '../../harness/command.js';
import { temporaryFolder } from '../../harness/server.js';
import { faultsOf } from '../../faults/remains.js';
import { expectSame, failureOf, type Run } from '../check.js';
import { compareHistory, compareLatest, expectKept } from './compare-history.js';
import { DatasetUnderTest, etagOf, Installation } from './dataset-under-test.js';
import { SyncedFolder } from './folder-model.js';
import type { Author, HistoryModel, ModelRevision } from './history-model.js';
import { type PlainWrite, sequenceOfSteps, type Step, type Text } from './steps.js';
import { crash } from './crash.js';
import { sha256 } from '../../harness/sha256.js';

/** A pair that no step changes, so that every folder and dataset is one that can be pushed. */
const LASTING = ['x.jpg', 'x.txt'];

/** Changes datasets with three clients in random order, and compares their history with a model. */
export async function fuzzHistories(run: Run): Promise<string | undefined> {
  const installation = await Installation.start();
  try {
    const tryOne = (steps: readonly Step[]) => runSteps(installation, steps);
    const failure = await failureOf(sequenceOfSteps, run, 'histories', tryOne);
    if (failure !== undefined) return failure;
    const { server } = installation;
    const faults = [...faultsOf(server), ...(await findingsOf(server)).map((finding) => JSON.stringify(finding))];
    return faults.length === 0 ? undefined : faults.join('\n');
  } finally {
    await installation.discard();
  }
}

/** Runs the steps of one sequence on a dataset of its own. @throws Error where the server differs from the model */
async function runSteps(installation: Installation, steps: readonly Step[]): Promise<void> {
  const run = await HistoryRun.start(installation);
  try {
    for (const step of steps) {
      await run.step(step);
      await run.compare();
    }
    await run.finish();
  } finally {
    await run.discard();
  }
}

class HistoryRun {
  readonly #dataset: DatasetUnderTest;
  /** The settings of the command, and the folders. */
  readonly #home: string;
  readonly #folders: readonly SyncedFolder[];

  private constructor(dataset: DatasetUnderTest, home: string) {
    this.#dataset = dataset;
    this.#home = home;
    this.#folders = ['one', 'two'].map((name) => new SyncedFolder(join(home, name)));
  }

  static async start(installation: Installation): Promise<HistoryRun> {
    const dataset = new DatasetUnderTest(installation, (await installation.curl.create()).body);
    const run = new HistoryRun(dataset, await temporaryFolder());
    const lasting = new Map(LASTING.map((filename) => [filename, dataset.content(filename, 'new')]));
    for (const folder of run.#folders) await folder.create(lasting);
    for (const [filename, bytes] of lasting) await run.#upload(filename, bytes);
    return run;
  }

  get #model(): HistoryModel {
    return this.#dataset.model;
  }

  get #page(): TrainyardClient {
    return this.#dataset.installation.page();
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case 'upload':
      case 'delete':
        return this.#write(step);
      case 'look':
        return this.#dataset.look();
      case 'edit':
        return this.#saveCaptions([step.filename], step.text, { how: 'edit', group: this.#dataset.newId() });
      case 'bulk':
        return this.#bulk(step);
      case 'write':
        return this.#folder(step).write(step.filename, this.#dataset.content(step.filename, step.text));
      case 'erase':
        return this.#folder(step).erase(step.filename);
      case 'push':
      case 'pull':
        return this.#sync(step);
      case 'restore':
        return this.#restore(step);
      case 'undo':
        return this.#undo(step);
      case 'restart':
        return this.#dataset.installation.restart();
      case 'crash':
        return crash(this.#dataset, step.afterMs, this.#revision(step)!);
    }
  }

  async compare(): Promise<void> {
    await compareLatest(this.#dataset.compared);
  }

  async finish(): Promise<void> {
    await compareHistory(this.#dataset.compared);
    expectKept(this.#model, this.#dataset.acknowledged);
  }

  async discard(): Promise<void> {
    await rm(this.#home, { recursive: true, force: true });
  }

  /** A request without conditions: the last write wins. */
  async #write(step: PlainWrite): Promise<void> {
    const { filename } = step;
    const { curl } = this.#dataset.installation;
    if (step.do === 'delete') {
      const { status } = await curl.request('DELETE', `/${this.#dataset.id}/files/${filename}`);
      expectSame('the answer to a removal', status, this.#model.files.has(filename) ? 200 : 404);
      return this.#dataset.change({ how: 'delete', group: 'curl delete' }, filename, undefined);
    }
    return this.#upload(filename, this.#dataset.content(filename, step.text));
  }

  async #upload(filename: string, bytes: Buffer): Promise<void> {
    const { id, installation } = this.#dataset;
    expectSame('the answer to an upload', (await installation.curl.upload(id, filename, bytes)).status, 200);
    this.#dataset.change({ how: 'upload', group: 'curl upload' }, filename, sha256(bytes));
  }

  /** Saves captions of the page, each if it is as the page has seen it. */
  async #saveCaptions(
    filenames: readonly string[],
    text: Text,
    author: Author & { how: 'edit' | 'bulk' },
  ): Promise<void> {
    if (filenames.length === 0) return;
    const { how, group: id } = author;
    const sent = filenames.map((filename) => ({ filename, text: this.#dataset.content(filename, text).toString() }));
    const captions = sent.map((caption) => ({ ...caption, ifMatch: etagOf(this.#dataset.seen.get(caption.filename)) }));
    const answers = await this.#dataset.installation.page({ how, id }).bulk.saveCaptions(this.#dataset.id, captions);
    const changes = new Map<string, string>();
    for (const [i, { filename, text: saved }] of sent.entries()) {
      const now = this.#model.files.get(filename);
      const isUnseen = now !== this.#dataset.seen.get(filename);
      const { saved: isSaved, current } = answers[i]!;
      expectSame(`whether ${filename} was saved`, isSaved, !isUnseen);
      if (isUnseen) expectSame(`the caption ${filename} in the answer`, current?.etag, etagOf(now) ?? undefined);
      else {
        changes.set(filename, sha256(saved));
        this.#dataset.acknowledge(filename, sha256(saved));
      }
      // After a conflict, the page shows both texts.
      this.#dataset.note(filename, isUnseen ? now : sha256(saved));
    }
    this.#model.change(author, changes);
  }

  async #bulk({ filenames, between }: Extract<Step, { do: 'bulk' }>): Promise<void> {
    const author = { how: 'bulk', group: this.#dataset.newId() } as const;
    const seen = filenames.filter((filename) => this.#dataset.seen.has(filename));
    const half = Math.ceil(seen.length / 2);
    await this.#saveCaptions(seen.slice(0, half), 'new', author);
    if (between !== null) await this.#write(between);
    await this.#saveCaptions(seen.slice(half), 'new', author);
  }

  #folder({ folder }: { folder: number }): SyncedFolder {
    return this.#folders[folder % this.#folders.length]!;
  }

  async #sync(step: Extract<Step, { do: 'push' | 'pull' }>): Promise<void> {
    const { installation, model, name } = this.#dataset;
    const folder = this.#folder(step);
    const isPush = step.do === 'push';
    const source = isPush ? 'ours' : 'theirs';
    const winner = step.winner && (step.winner === source ? 'source' : 'target');
    const { changes, conflicts } = folder[step.do](model.files, { winner, replace: step.replace });
    const target = isPush ? ['push', folder.path, '--name', name] : ['pull', name, folder.path];
    const flags = [...(isPush ? ['--allow-uncaptioned', '--no-wait'] : []), ...(step.replace ? ['--replace'] : [])];
    const args = [...target, ...flags, ...(step.winner === null ? [] : [`--${step.winner}`]), '--json'];
    const ended = await trainyard(args, { env: { ...installation.commandEnv, XDG_CONFIG_HOME: this.#home } });
    // A push that leaves a dataset that is not READY ends with 1.
    const codes = conflicts.length > 0 ? [73] : isPush ? [0, 1] : [0];
    if (!codes.includes(ended.code)) {
      throw new Error(`${step.do} ended with ${ended.code}: ${ended.stdout}${ended.stderr}`);
    }
    const found = (ended.json().conflicts as { filename: string }[]).map(({ filename }) => filename).sort();
    expectSame(`the conflicts of a ${step.do}`, found, conflicts);
    if (isPush) {
      model.change({ how: 'push', group: this.#dataset.newId() }, changes);
      for (const [filename, hash] of changes) this.#dataset.acknowledge(filename, hash);
    } else {
      for (const [filename, hash] of changes) {
        if (hash === undefined) folder.files.delete(filename);
        else folder.files.set(filename, hash);
      }
      expectSame('the folder after a pull', [...(await folder.read())], [...folder.files].sort());
    }
    folder.remember(model.files);
  }

  /** A revision, counted from the newest. */
  #revision({ revision: index }: { revision: number }, isUsable: (revision: ModelRevision) => boolean = () => true) {
    const usable = this.#model.revisions.filter(isUsable).reverse();
    return usable[index % usable.length];
  }

  async #restore(step: { revision: number }): Promise<void> {
    const revision = this.#revision(step)!;
    const answer = await this.#page.history.restore(this.#dataset.id, revision.number);
    expectSame('whether something was restored', answer.restored, this.#model.restore(revision));
    expectSame('the restored revision', answer.revision.number, this.#model.latest?.number);
  }

  async #undo(step: { revision: number }): Promise<void> {
    // The first revisions have the lasting pair.
    const isUndoable = ({ number, files }: ModelRevision) => {
      const before = this.#model.revision(number - 1);
      return before !== undefined && before.files.size > 1 && files.size > 1;
    };
    const revision = this.#revision(step, isUndoable);
    if (revision === undefined) return;
    const answer = await this.#page.history.undo(this.#dataset.id, revision.number);
    const before = this.#model.latest;
    const { undone, kept } = this.#model.undo(revision.number);
    expectSame('the files whose change was undone', answer.undone, undone);
    expectSame('the files that have changed since', answer.kept, kept);
    const isChanged = this.#model.latest !== before;
    const expected = isChanged ? this.#model.latest?.number : undefined;
    expectSame('the undoing revision', answer.revision?.number, expected);
  }
}
