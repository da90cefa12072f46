import { put } from '../../harness/api.js';
import { expectSame } from '../check.js';
import { sha256 } from '../contents.js';
import { filesOf, listRevisions } from './compare-history.js';
import { type DatasetUnderTest, etagOf } from './dataset-under-test.js';
import type { ModelRevision } from './history-model.js';
import { CAPTIONS, type Step, type Writer } from './steps.js';

/** What writes in an unknown order may have stored of each file, and which revision they may have restored. */
interface Unordered {
  readonly attempted: ReadonlyMap<string, Set<string | undefined>>;
  readonly restored?: ModelRevision;
}

/** Several clients write one caption at once. */
export async function race(
  dataset: DatasetUnderTest,
  { filename, writers }: Extract<Step, { do: 'race' }>,
): Promise<void> {
  await dataset.look();
  const attempted = new Map([[filename, new Set<string | undefined>()]]);
  const seen = dataset.seen.get(filename);
  const answers = await Promise.all(
    writers.map(async (writer) => {
      const bytes = writer === 'delete' ? undefined : dataset.content(filename, 'new');
      const hash = bytes && sha256(bytes);
      attempted.get(filename)!.add(hash);
      const isStored = await attempt(dataset, writer, { filename, bytes, seen });
      if (isStored) dataset.acknowledge(filename, hash);
      return writer === 'edit' && isStored;
    }),
  );
  const edits = answers.filter(Boolean).length;
  // A removal lets a second edit of a new caption succeed.
  const isRepeatable = seen === undefined && writers.includes('delete');
  if (edits > 1 && !isRepeatable) throw new Error(`${edits} edits of one version of ${filename} were saved`);
  await adopt(dataset, { attempted });
}

/** @returns whether the server has acknowledged the write */
async function attempt(
  dataset: DatasetUnderTest,
  writer: Writer,
  { filename, bytes, seen }: { filename: string; bytes: Buffer | undefined; seen: string | undefined },
): Promise<boolean> {
  const { curl } = dataset.installation;
  if (bytes === undefined) {
    return (await curl.request('DELETE', `/${dataset.id}/files/${filename}`)).status === 200;
  }
  if (writer === 'edit') {
    const page = dataset.pageFor('edit');
    const caption = { filename, text: bytes.toString(), ifMatch: etagOf(seen) };
    return (await page.bulk.saveCaptions(dataset.id, [caption]))[0]?.saved === true;
  }
  if (writer === 'upload') return (await curl.upload(dataset.id, filename, bytes)).status === 200;
  // A newer upload of the name invalidates the link.
  return (await put(await curl.link(dataset.id, filename, bytes.length), bytes)).status === 200;
}

/** Kills the server during a bulk change, an upload and a restore. */
export async function crash(
  dataset: DatasetUnderTest,
  { afterMs }: Extract<Step, { do: 'crash' }>,
  restored: ModelRevision,
): Promise<void> {
  await dataset.look();
  const attempted = new Map<string, Set<string | undefined>>();
  const sent = [...CAPTIONS, 'b.jpg'].map((filename) => ({ filename, bytes: dataset.content(filename, 'new') }));
  for (const { filename, bytes } of sent) attempted.set(filename, new Set([sha256(bytes)]));
  const page = dataset.pageFor('bulk');
  const captions = sent.slice(0, -1).map(({ filename, bytes }) => {
    return { filename, text: bytes.toString(), ifMatch: etagOf(dataset.seen.get(filename)) };
  });
  const image = sent.at(-1)!;
  const acknowledge = (filename: string) => {
    const [hash] = attempted.get(filename) ?? [];
    dataset.acknowledge(filename, hash);
  };
  const writes = [
    page.bulk.saveCaptions(dataset.id, captions).then((answers) => {
      for (const { filename, saved } of answers) if (saved) acknowledge(filename);
    }),
    dataset.installation.curl.upload(dataset.id, image.filename, image.bytes).then(({ status }) => {
      if (status === 200) acknowledge(image.filename);
    }),
    page.history.restore(dataset.id, restored.number),
  ];
  const ended = Promise.allSettled(writes);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await dataset.installation.restart(dataset.installation.keeps);
  await ended;
  await adopt(dataset, { attempted, restored });
}

/** Takes over the revisions that the server made of writes in an unknown order, if these writes explain them. */
async function adopt(dataset: DatasetUnderTest, { attempted, restored }: Unordered): Promise<void> {
  const model = dataset.model;
  const page = dataset.installation.page();
  const first = model.latest!;
  const listed = (await listRevisions(page, dataset.id)).filter(({ number }) => number >= first.number);
  let previous = first;
  for (const { number, how, restored_from, pinned } of listed) {
    const files = filesOf((await page.history.revision(dataset.id, number)).manifest);
    if (how === 'restore' && number > first.number) {
      expectSame('the restored revision', restored_from, restored?.number);
      expectSame(`the files of revision ${number}`, [...files].sort(), [...(restored?.files ?? [])].sort());
    } else {
      for (const name of new Set([...files.keys(), ...previous.files.keys()])) {
        const hash = files.get(name);
        const isExplained = hash === previous.files.get(name) || attempted.get(name)?.has(hash);
        if (!isExplained) throw new Error(`no write explains ${name} ${hash} in revision ${number}`);
      }
    }
    if (number === first.number) {
      first.files = files;
      continue;
    }
    const before = number === previous.number + 1 ? previous.files : undefined;
    const restoredFrom = restored_from;
    const isExpired = false;
    previous = { number, how, restoredFrom, before, files, isPinned: pinned !== null, isExpired };
    model.revisions.push(previous);
  }
  model.files = previous.files;
  // Closes the latest revision, since it is not known which files it has added.
  if (!previous.isPinned) {
    await page.history.pin(dataset.id, previous.number);
    await page.history.unpin(dataset.id, previous.number);
  }
  model.close();
}
