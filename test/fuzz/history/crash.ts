import { expectSame } from '../check.js';
import { filesOf, listRevisions } from './compare-history.js';
import { type DatasetUnderTest, etagOf } from './dataset-under-test.js';
import type { ModelRevision } from './history-model.js';
import { CAPTIONS } from './steps.js';
import { sha256 } from '../../harness/sha256.js';

/** Kills the server during a bulk change, an upload and a restore. */
export async function crash(dataset: DatasetUnderTest, afterMs: number, restored: ModelRevision): Promise<void> {
  await dataset.look();
  const { id, installation } = dataset;
  const sent = [...CAPTIONS, 'b.jpg'].map((filename) => ({ filename, bytes: dataset.content(filename, 'new') }));
  const attempted = new Map(sent.map(({ filename, bytes }) => [filename, sha256(bytes)]));
  const acknowledge = (filename: string) => dataset.acknowledge(filename, attempted.get(filename));
  const page = installation.page({ how: 'bulk', id: dataset.newId() });
  const captions = sent.slice(0, -1).map(({ filename, bytes }) => {
    return { filename, text: bytes.toString(), ifMatch: etagOf(dataset.seen.get(filename)) };
  });
  const image = sent.at(-1)!;
  const writes = [
    page.bulk.saveCaptions(id, captions).then((answers) => {
      for (const { filename, saved } of answers) if (saved) acknowledge(filename);
    }),
    installation.curl.upload(id, image.filename, image.bytes).then(({ status }) => {
      if (status === 200) acknowledge(image.filename);
    }),
    page.history.restore(id, restored.number),
  ];
  const ended = Promise.allSettled(writes);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await installation.restart();
  await ended;
  await adopt(dataset, attempted, restored);
}

/** Takes over the revisions that the server made of writes in an unknown order, if these writes explain them. */
async function adopt(
  dataset: DatasetUnderTest,
  attempted: ReadonlyMap<string, string>,
  restored: ModelRevision,
): Promise<void> {
  const model = dataset.model;
  const page = dataset.installation.page();
  const first = model.latest!;
  const listed = (await listRevisions(page, dataset.id)).filter(({ number }) => number >= first.number);
  let previous = first;
  for (const { number, how, restored_from } of listed) {
    const files = filesOf((await page.history.revision(dataset.id, number)).manifest);
    if (how === 'restore' && number > first.number) {
      expectSame('the restored revision', restored_from, restored.number);
      expectSame(`the files of revision ${number}`, [...files].sort(), [...restored.files].sort());
    } else {
      for (const name of new Set([...files.keys(), ...previous.files.keys()])) {
        const hash = files.get(name);
        const isExplained = hash === previous.files.get(name) || attempted.get(name) === hash;
        if (!isExplained) throw new Error(`no write explains ${name} ${hash} in revision ${number}`);
      }
    }
    if (number === first.number) {
      first.files = files;
      continue;
    }
    const before = number === previous.number + 1 ? previous.files : undefined;
    const restoredFrom = restored_from;
    previous = { number, how, restoredFrom, before, files };
    model.revisions.push(previous);
  }
  model.files = previous.files;
  // Closes the latest revision, since it is not known which files it has added.
  await page.history.pin(dataset.id, previous.number);
  await page.history.unpin(dataset.id, previous.number);
  model.close();
}
