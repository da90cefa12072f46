import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countsOf, pendingUntilOf, recount, type StemCounts } from '../../src/dataset/counts.js';
import {
  type DatasetCounts,
  type DatasetFile,
  liveUntil,
  MICROS_PER_SECOND,
  nextChangeOf,
  type PendingFile,
  type Status,
  type StatusRules,
  type StoredFile,
  statusOf,
} from '../../src/dataset/dataset.js';
import { findingsOf } from '../../src/dataset/findings.js';
import { mediaTypeOf, stemOf } from '../../src/dataset/media.js';
import { errorIn } from '../../src/dataset/problems.js';
import {
  acquireLease,
  finalize,
  reject,
  releaseLease,
  remove,
  renewLease,
  reserve,
  type StemGroup,
  withdrawUploads,
} from '../../src/dataset/upload-transitions.js';

const RULES: StatusRules = { captionGrace: 15 * MICROS_PER_SECOND };
const LINK_LIFETIME = 60 * MICROS_PER_SECOND;
const LEASE = 20 * MICROS_PER_SECOND;
const HOLDER = 'holder';
const FILENAMES = ['a.jpg', 'a.JPG', 'a.png', 'a.txt', 'a.mp4', 'b.gif', 'b.txt', 'c.webp', 'c.txt'];

/** A dataset kept as the catalog keeps it: files, and a counts that every change moves by the difference it makes. */
class Model {
  now = 1_000_000_000;
  files: readonly DatasetFile[] = [];
  counts: DatasetCounts = countsOf([], this.now);
  #ids = 0;

  newPending(filename: string, via: 'link' | 'direct'): PendingFile {
    const type = mediaTypeOf(filename);
    if (type === undefined) throw new Error(filename);
    const expiresAt = this.now + (via === 'link' ? LINK_LIFETIME : LEASE);
    return {
      id: `file-${++this.#ids}`,
      datasetId: 'dataset',
      filename,
      kind: type.kind,
      createdAt: this.now,
      upload: {
        state: 'pending',
        via,
        expectedBytes: via === 'link' ? 100 : null,
        expiresAt,
        leaseUntil: via === 'link' ? null : expiresAt,
        leaseToken: via === 'link' ? null : HOLDER,
      },
    };
  }

  change(filename: string, transition: (group: StemGroup) => StemGroup | undefined): boolean {
    const stem = stemOf(filename);
    const group = this.files.filter((file) => stemOf(file.filename) === stem);
    const next = transition(group);
    if (next === undefined) return false;
    this.files = [...this.files.filter((file) => stemOf(file.filename) !== stem), ...next];
    const { pendingUntil: _, lastActivity: __, ...counts } = this.counts;
    this.counts = {
      ...recount(counts as StemCounts, group, next),
      pendingUntil: pendingUntilOf(this.files),
      lastActivity: this.now,
    };
    return true;
  }

  pending(): PendingFile[] {
    return this.files.filter((file): file is PendingFile => file.upload.state === 'pending');
  }

  stored(filename: string): StoredFile | undefined {
    return this.files.find((file): file is StoredFile => file.upload.state === 'stored' && file.filename === filename);
  }
}

const heldBy = ({ id }: PendingFile) => ({ id, token: HOLDER });

const storedUpload = (model: Model, sizeBytes: number): StoredFile['upload'] => ({
  state: 'stored',
  sizeBytes,
  sha256: 'a'.repeat(64),
  contentType: 'image/jpeg',
  facts: { kind: 'caption', characters: 1 },
  warnings: [],
  blobVersion: null,
  finalizedAt: model.now,
});

type Step =
  | { do: 'promise'; filename: string; via: 'link' | 'direct' }
  | { do: 'begin' | 'renew' | 'end' | 'store' | 'reject'; pick: number }
  | { do: 'upload'; filename: string }
  | { do: 'remove'; filename: string }
  | { do: 'withdraw'; filename: string }
  | { do: 'wait'; seconds: number };

const filename = fc.constantFrom(...FILENAMES);
const step: fc.Arbitrary<Step> = fc.oneof(
  // Whole uploads and removals outweigh the rest, or hardly a history would ever be free of open promises.
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('upload', 'upload', 'upload', 'remove'), filename }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw'), filename }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('promise'), filename, via: fc.constantFrom('link', 'direct') }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('begin', 'renew', 'end', 'store', 'reject'), pick: fc.nat(20) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), seconds: fc.constantFrom(0.5, 5, 15, 30, 61) }) },
) as fc.Arbitrary<Step>;

function take(model: Model, action: Step): void {
  if (action.do === 'wait') {
    model.now += action.seconds * MICROS_PER_SECOND;
    return;
  }
  model.now += 1;
  if (action.do === 'promise') {
    const file = model.newPending(action.filename, action.via);
    model.change(action.filename, (group) => reserve(group, file));
    return;
  }
  if (action.do === 'upload') {
    const file = model.newPending(action.filename, 'direct');
    model.change(action.filename, (group) => reserve(group, file));
    model.change(action.filename, (group) => finalize(group, heldBy(file), storedUpload(model, 100)));
    return;
  }
  if (action.do === 'remove' || action.do === 'withdraw') {
    const transition = action.do === 'remove' ? remove : withdrawUploads;
    model.change(action.filename, (group) => transition(group, action.filename));
    return;
  }
  const pending = model.pending();
  const file = pending[action.pick % Math.max(pending.length, 1)];
  if (file === undefined) return;
  const { id } = file;
  const lease = { now: model.now, until: model.now + LEASE, token: HOLDER };
  const held = { id, token: HOLDER };
  const problem = errorIn(file.filename, 'IMAGE_CORRUPT', 'is broken');
  const transitions = {
    begin: (group: StemGroup) => acquireLease(group, id, lease),
    renew: (group: StemGroup) => renewLease(group, held, lease),
    end: (group: StemGroup) => releaseLease(group, held),
    store: (group: StemGroup) => finalize(group, held, storedUpload(model, 100 + action.pick)),
    reject: (group: StemGroup) => reject(group, held, { state: 'rejected', problem, finalizedAt: model.now }),
  };
  model.change(file.filename, transitions[action.do]);
}

/** The table of the design, written out a second time from the files themselves and not from the counts. */
function statusByTheTable(model: Model): Status {
  const { files, now, counts } = model;
  if (files.length === 0) return 'DRAFT';
  const pending = model.pending();
  if (pending.some((file) => liveUntil(file.upload) > now)) return 'UPLOADING';
  const stored = files.filter((file) => file.upload.state === 'stored');
  const media = stored.filter((file) => file.kind !== 'caption');
  const mountedNames = stored.map(
    (file) => stemOf(file.filename) + file.filename.slice(stemOf(file.filename).length).toLowerCase(),
  );
  const isBroken =
    pending.length > 0 ||
    files.some((file) => file.upload.state === 'rejected') ||
    new Set(mountedNames).size < mountedNames.length;
  if (isBroken) return 'FAILED';
  const captions = new Set(stored.filter((file) => file.kind === 'caption').map((file) => stemOf(file.filename)));
  const isIncomplete =
    media.some((file) => !captions.has(stemOf(file.filename))) ||
    !media.some((file) => /\.(jpe?g|png|webp|mp4)$/i.test(file.filename));
  if (!isIncomplete) return 'READY';
  return now - counts.lastActivity < RULES.captionGrace ? 'UPLOADING' : 'FAILED';
}

const history = fc.array(step, { maxLength: 60 });
const runs = { numRuns: 2000 };

function afterEveryStep(steps: readonly Step[], look: (model: Model) => void): void {
  const model = new Model();
  for (const action of steps) {
    take(model, action);
    look(model);
  }
}

describe('over any history of promises, arrivals, settlings, removals and waiting', () => {
  test('the counts that is kept equals a full recount', () => {
    fc.assert(
      fc.property(history, (steps) =>
        afterEveryStep(steps, ({ counts, files }) => expect(counts).toEqual(countsOf(files, counts.lastActivity))),
      ),
      runs,
    );
  });

  test('the status follows the table', () => {
    fc.assert(
      fc.property(history, (steps) =>
        afterEveryStep(steps, (model) =>
          expect(statusOf(model.counts, model.now, RULES)).toBe(statusByTheTable(model)),
        ),
      ),
      runs,
    );
  });

  test('a dataset is FAILED or READY exactly where its findings say so', () => {
    fc.assert(
      fc.property(history, (steps) =>
        afterEveryStep(steps, ({ counts, files, now }) => {
          const status = statusOf(counts, now, RULES);
          const { errors } = findingsOf(files, now);
          if (status === 'READY') expect(errors).toEqual([]);
          if (status === 'FAILED') expect(errors.length).toBeGreaterThan(0);
        }),
      ),
      runs,
    );
  });

  test('nothing but time, at the time foretold, changes a status between changes', () => {
    fc.assert(
      fc.property(history, fc.nat(200), (steps, seconds) =>
        afterEveryStep(steps, ({ counts, now }) => {
          const next = nextChangeOf(counts, now, RULES) ?? Number.POSITIVE_INFINITY;
          const later = now + seconds * MICROS_PER_SECOND;
          expect(next).toBeGreaterThan(now);
          if (later < next) expect(statusOf(counts, later, RULES)).toBe(statusOf(counts, now, RULES));
        }),
      ),
      runs,
    );
  });

  test('a good file goes only when another good one takes its place, or when it is removed', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const model = new Model();
        for (const action of steps) {
          const before = FILENAMES.filter((name) => model.stored(name) !== undefined);
          take(model, action);
          if (action.do === 'remove') continue;
          expect(FILENAMES.filter((name) => model.stored(name) !== undefined)).toEqual(expect.arrayContaining(before));
        }
      }),
      runs,
    );
  });

  test('a name has one good or refused file at the most', () => {
    fc.assert(
      fc.property(history, (steps) =>
        afterEveryStep(steps, ({ files }) => {
          const settled = files.filter((file) => file.upload.state !== 'pending').map((file) => file.filename);
          expect(new Set(settled).size).toBe(settled.length);
        }),
      ),
      runs,
    );
  });
});

describe('the transitions', () => {
  const arriving = (model: Model, name: string) => {
    const file = model.newPending(name, 'direct');
    model.change(name, (group) => reserve(group, file));
    return file;
  };

  test('the latest upload that ends well wins', () => {
    const model = new Model();
    const [first, second] = [arriving(model, 'a.jpg'), arriving(model, 'a.jpg')];
    expect(model.change('a.jpg', (group) => finalize(group, heldBy(second), storedUpload(model, 2)))).toBe(true);
    expect(model.change('a.jpg', (group) => finalize(group, heldBy(first), storedUpload(model, 1)))).toBe(true);
    expect(model.stored('a.jpg')?.upload.sizeBytes).toBe(1);
    expect(model.counts.images).toBe(1);
  });

  test('a refused second attempt leaves the first file and records nothing', () => {
    const model = new Model();
    const good = arriving(model, 'a.jpg');
    model.change('a.jpg', (group) => finalize(group, heldBy(good), storedUpload(model, 1)));
    const bad = arriving(model, 'a.jpg');
    const problem = errorIn('a.jpg', 'IMAGE_CORRUPT', 'is broken');
    model.change('a.jpg', (group) =>
      reject(group, heldBy(bad), { state: 'rejected', problem, finalizedAt: model.now }),
    );
    expect(model.files.map((file) => file.id)).toEqual([good.id]);
    expect(model.counts.rejected).toBe(0);
  });

  test('a file that settles well fulfils the link promises of its name that nobody is keeping', () => {
    const model = new Model();
    const link = model.newPending('a.jpg', 'link');
    model.change('a.jpg', (group) => reserve(group, link));
    const direct = arriving(model, 'a.jpg');
    model.change('a.jpg', (group) => finalize(group, heldBy(direct), storedUpload(model, 1)));
    expect(model.files.map((file) => file.id)).toEqual([direct.id]);
  });

  test('a new link retires the old one, and the old one can settle no more', () => {
    const model = new Model();
    const [old, fresh] = [model.newPending('a.jpg', 'link'), model.newPending('a.jpg', 'link')];
    model.change('a.jpg', (group) => reserve(group, old));
    model.change('a.jpg', (group) =>
      acquireLease(group, old.id, { now: model.now, until: model.now + LEASE, token: HOLDER }),
    );
    model.change('a.jpg', (group) => reserve(group, fresh));
    expect(model.change('a.jpg', (group) => finalize(group, heldBy(old), storedUpload(model, 1)))).toBe(false);
    expect(model.files.map((file) => file.id)).toEqual([fresh.id]);
  });

  test('nothing settles after its lease has run out, since its bytes may have been swept', () => {
    const model = new Model();
    const file = arriving(model, 'a.jpg');
    model.now += LEASE;
    expect(model.change('a.jpg', (group) => finalize(group, heldBy(file), storedUpload(model, 1)))).toBe(false);
  });

  test('two cannot take in one promise at once', () => {
    const model = new Model();
    const link = model.newPending('a.jpg', 'link');
    model.change('a.jpg', (group) => reserve(group, link));
    const begin = () =>
      model.change('a.jpg', (group) =>
        acquireLease(group, link.id, { now: model.now, until: model.now + LEASE, token: HOLDER }),
      );
    expect([begin(), begin()]).toEqual([true, false]);
    model.now += LEASE;
    expect(begin()).toBe(true);
  });

  test('whoever has lost the lease to another can do nothing with it', () => {
    const model = new Model();
    const link = model.newPending('a.jpg', 'link');
    model.change('a.jpg', (group) => reserve(group, link));
    const begin = (token: string) =>
      model.change('a.jpg', (group) =>
        acquireLease(group, link.id, { now: model.now, until: model.now + LEASE, token }),
      );
    begin('sleeper');
    model.now += LEASE;
    expect(begin('other')).toBe(true);
    const sleeper = { id: link.id, token: 'sleeper' };
    const lease = { now: model.now, until: model.now + LEASE };
    const problem = errorIn('a.jpg', 'IMAGE_CORRUPT', 'is broken');
    const before = model.files;
    expect([
      model.change('a.jpg', (group) => renewLease(group, sleeper, lease)),
      model.change('a.jpg', (group) => finalize(group, sleeper, storedUpload(model, 1))),
      model.change('a.jpg', (group) => reject(group, sleeper, { state: 'rejected', problem, finalizedAt: model.now })),
      model.change('a.jpg', (group) => releaseLease(group, sleeper)),
    ]).toEqual([false, false, false, false]);
    expect(model.files).toBe(before);
    expect(
      model.change('a.jpg', (group) => finalize(group, { id: link.id, token: 'other' }, storedUpload(model, 1))),
    ).toBe(true);
  });

  test('a link stays open after an attempt that ended; a direct upload is over', () => {
    const model = new Model();
    const link = model.newPending('a.jpg', 'link');
    model.change('a.jpg', (group) => reserve(group, link));
    const direct = arriving(model, 'a.txt');
    const lease = { now: model.now, until: model.now + LEASE, token: HOLDER };
    model.change('a.jpg', (group) => acquireLease(group, link.id, lease));
    expect(model.change('a.jpg', (group) => releaseLease(group, heldBy(link)))).toBe(true);
    expect(model.change('a.txt', (group) => releaseLease(group, heldBy(direct)))).toBe(true);
    expect(model.files).toEqual([link]);
  });
});
