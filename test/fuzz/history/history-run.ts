import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { put } from '../../harness/api.js';
import { eventually, temporaryFolder } from '../../harness/server.js';
import { sha256 } from '../contents.js';
import { expectSame } from '../fuzz-sequences.js';
import { compareHistory, compareLatest, expectKept, listRevisions } from './compare-history.js';
import { DatasetUnderTest, etagOf } from './dataset-under-test.js';
import { SyncedFolder } from './folder-model.js';
import type { Author, ModelRevision } from './history-model.js';
import type { Installation } from './installation.js';
import type { PlainWrite, Step, Text } from './steps.js';
import { crash, race } from './unordered-writes.js';

/** A pair that no step changes, so that every folder and dataset is one that can be pushed. */
const LASTING = ['x.jpg', 'x.txt'];

/** Runs the steps of one sequence on a dataset of its own. @throws Error where the server differs from the model */
export async function runSteps(installation: Installation, steps: readonly Step[]): Promise<void> {
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
  #hasExpired = false;

  private constructor(dataset: DatasetUnderTest, home: string) {
    this.#dataset = dataset;
    this.#home = home;
    this.#folders = ['one', 'two'].map((name) => new SyncedFolder(join(home, name)));
  }

  static async start(installation: Installation): Promise<HistoryRun> {
    if (installation.keeps !== 'all') await installation.restart('all');
    const dataset = new DatasetUnderTest(installation, (await installation.curl.create()).body);
    const run = new HistoryRun(dataset, await temporaryFolder());
    const lasting = new Map(LASTING.map((filename) => [filename, dataset.content(filename, 'new')]));
    for (const folder of run.#folders) await folder.create(lasting);
    for (const [filename, bytes] of lasting) await run.#upload(filename, bytes);
    return run;
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case 'upload':
      case 'link':
      case 'delete':
        return this.#write(step);
      case 'look':
        return this.#dataset.look();
      case 'edit':
        return this.#saveCaptions([step.filename], step.text, { how: 'edit', group: this.#dataset.newId() });
      case 'bulk':
        return this.#bulk(step);
      case 'discard':
        return this.#discardFiles(step.filenames);
      case 'write':
        return this.#folder(step).write(step.filename, this.#dataset.content(step.filename, step.text));
      case 'erase':
        return this.#folder(step).erase(step.filename);
      case 'push':
        return this.#push(step);
      case 'pull':
        return this.#pull(step);
      case 'restore':
        return this.#restore(step);
      case 'undo':
        return this.#undo(step);
      case 'pin':
      case 'unpin':
        return this.#pin(step);
      case 'restart':
        return this.#restart(step.keeps);
      case 'race':
        return race(this.#dataset, step);
      case 'crash':
        return crash(this.#dataset, step, this.#revision(step)!);
    }
  }

  async compare(): Promise<void> {
    if (this.#dataset.installation.keeps === 'latest') this.#dataset.model.expire();
    await compareLatest(this.#dataset.compared);
  }

  async finish(): Promise<void> {
    if (this.#dataset.installation.keeps === 'latest') {
      const expired = this.#dataset.model.revisions.filter(({ isExpired }) => isExpired).map(({ number }) => number);
      const page = this.#dataset.installation.page();
      await eventually(async () => {
        const kept = await listRevisions(page, this.#dataset.id);
        return kept.some(({ number }) => expired.includes(number)) ? undefined : true;
      });
    }
    await compareHistory(this.#dataset.compared);
    if (!this.#hasExpired) expectKept(this.#dataset.model, this.#dataset.acknowledged);
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
      expectSame('the answer to a removal', status, this.#dataset.model.files.has(filename) ? 200 : 404);
      return this.#dataset.change({ how: 'delete', group: 'curl delete' }, filename, undefined);
    }
    const bytes = this.#dataset.content(filename, step.text);
    if (step.do === 'upload') return this.#upload(filename, bytes);
    const { status } = await put(await curl.link(this.#dataset.id, filename, bytes.length), bytes);
    expectSame('the answer to a PUT', status, 200);
    this.#dataset.change({ how: 'upload', group: 'curl upload' }, filename, sha256(bytes));
  }

  async #upload(filename: string, bytes: Buffer): Promise<void> {
    const { status } = await this.#dataset.installation.curl.upload(this.#dataset.id, filename, bytes);
    expectSame('the answer to an upload', status, 200);
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
      const now = this.#dataset.model.files.get(filename);
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
    this.#dataset.model.change(author, changes);
  }

  async #bulk({ filenames, between }: Extract<Step, { do: 'bulk' }>): Promise<void> {
    const author = { how: 'bulk', group: this.#dataset.newId() } as const;
    const seen = filenames.filter((filename) => this.#dataset.seen.has(filename));
    const half = Math.ceil(seen.length / 2);
    await this.#saveCaptions(seen.slice(0, half), 'new', author);
    if (between !== null) await this.#write(between);
    await this.#saveCaptions(seen.slice(half), 'new', author);
  }

  async #discardFiles(filenames: readonly string[]): Promise<void> {
    const seen = filenames.filter((filename) => this.#dataset.seen.has(filename));
    if (seen.length === 0) return;
    const author = { how: 'bulk', group: this.#dataset.newId() } as const;
    const ifMatch = Object.fromEntries(seen.map((filename) => [filename, etagOf(this.#dataset.seen.get(filename))!]));
    const page = this.#dataset.installation.page({ how: 'bulk', id: author.group });
    const answers = await page.bulk.removeFiles(this.#dataset.id, seen, { ifMatch });
    const changes = new Map<string, undefined>();
    for (const [i, filename] of seen.entries()) {
      const now = this.#dataset.model.files.get(filename);
      const isSame = now === this.#dataset.seen.get(filename);
      expectSame(`whether ${filename} was removed`, answers[i]?.deleted, isSame);
      if (isSame) changes.set(filename, undefined);
      this.#dataset.note(filename, isSame ? undefined : now);
    }
    this.#dataset.model.change(author, changes);
  }

  #folder({ folder }: { folder: number }): SyncedFolder {
    return this.#folders[folder % this.#folders.length]!;
  }

  async #push(step: Extract<Step, { do: 'push' | 'pull' }>): Promise<void> {
    const folder = this.#folder(step);
    const winner = step.winner && (step.winner === 'ours' ? 'source' : 'target');
    const { changes, conflicts } = folder.push(this.#dataset.model.files, { winner, replace: step.replace });
    const args = ['push', folder.path, '--name', this.#dataset.name, '--allow-uncaptioned', '--no-wait'];
    const ended = await this.#command(folder, args, step);
    const hasConflicts = conflicts.length > 0;
    const isExpected = hasConflicts ? ended.code === 73 : ended.code === 0 || ended.code === 1;
    if (!isExpected) throw new Error(`push ended with ${ended.code}: ${ended.stdout}${ended.stderr}`);
    expectSame('the conflicts of a push', conflictsIn(ended.json()), conflicts);
    this.#dataset.model.change({ how: 'push', group: this.#dataset.newId() }, changes);
    for (const [filename, hash] of changes) if (hash !== undefined) this.#dataset.acknowledge(filename, hash);
    folder.remember(this.#dataset.model.files);
  }

  async #pull(step: Extract<Step, { do: 'push' | 'pull' }>): Promise<void> {
    const folder = this.#folder(step);
    const winner = step.winner && (step.winner === 'theirs' ? 'source' : 'target');
    const { changes, conflicts } = folder.pull(this.#dataset.model.files, { winner, replace: step.replace });
    const ended = await this.#command(folder, ['pull', this.#dataset.name, folder.path], step);
    if (ended.code !== (conflicts.length > 0 ? 73 : 0)) {
      throw new Error(`pull ended with ${ended.code}: ${ended.stdout}${ended.stderr}`);
    }
    expectSame('the conflicts of a pull', conflictsIn(ended.json()), conflicts);
    for (const [filename, hash] of changes) {
      if (hash === undefined) folder.files.delete(filename);
      else folder.files.set(filename, hash);
    }
    expectSame('the folder after a pull', [...(await folder.read())], [...folder.files].sort());
    folder.remember(this.#dataset.model.files);
  }

  #command(folder: SyncedFolder, args: readonly string[], { winner, replace }: Extract<Step, { do: 'push' | 'pull' }>) {
    const options = [...(winner === null ? [] : [`--${winner}`]), ...(replace ? ['--replace'] : []), '--json'];
    return folder.run([...args, ...options], { ...this.#dataset.installation.commandEnv, XDG_CONFIG_HOME: this.#home });
  }

  /** A revision that is certainly kept, counted from the newest. */
  #revision({ revision: index }: { revision: number }, isUsable: (revision: ModelRevision) => boolean = () => true) {
    const usable = this.#dataset.model.revisions
      .filter((revision) => !revision.isExpired && isUsable(revision))
      .reverse();
    return usable[index % usable.length];
  }

  async #restore(step: { revision: number }): Promise<void> {
    const revision = this.#revision(step)!;
    const answer = await this.#dataset.installation.page().history.restore(this.#dataset.id, revision.number);
    expectSame('whether something was restored', answer.restored, this.#dataset.model.restore(revision));
    expectSame('the restored revision', answer.revision.number, this.#dataset.model.latest?.number);
  }

  async #undo(step: { revision: number }): Promise<void> {
    // The first revisions have the lasting pair.
    const isUndoable = ({ number, files }: ModelRevision) => {
      const before = this.#dataset.model.revision(number - 1);
      return before !== undefined && !before.isExpired && before.files.size > 1 && files.size > 1;
    };
    const revision = this.#revision(step, isUndoable);
    if (revision === undefined) return;
    const answer = await this.#dataset.installation.page().history.undo(this.#dataset.id, revision.number);
    const before = this.#dataset.model.latest;
    const { undone, kept } = this.#dataset.model.undo(revision.number);
    expectSame('the files whose change was undone', answer.undone, undone);
    expectSame('the files that have changed since', answer.kept, kept);
    const isChanged = this.#dataset.model.latest !== before;
    expectSame(
      'the undoing revision',
      answer.revision?.number,
      isChanged ? this.#dataset.model.latest?.number : undefined,
    );
  }

  async #pin(step: { do: string; revision: number }): Promise<void> {
    const revision = this.#revision(step)!;
    const isPinned = step.do === 'pin';
    const { history } = this.#dataset.installation.page();
    if (isPinned) await history.pin(this.#dataset.id, revision.number, { note: 'a note' });
    else await history.unpin(this.#dataset.id, revision.number);
    this.#dataset.model.pin(revision, isPinned);
  }

  async #restart(keeps: 'all' | 'latest'): Promise<void> {
    await this.#dataset.installation.restart(keeps);
    if (keeps === 'latest') this.#hasExpired = true;
  }
}

function conflictsIn({ conflicts }: { conflicts: readonly { filename: string }[] }): string[] {
  return conflicts.map(({ filename }) => filename).sort();
}
