import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  acceptReceived,
  acquireLease,
  finalize,
  recordRecheck,
  reject,
  rejectReceived,
  releaseLease,
  remove,
  renewLease,
  reserve,
  type StemGroup,
  withdrawUploads,
} from '../../src/dataset/upload-transitions.js';
import { countsInRole, recount, type StemCounts } from '../../src/dataset/counts.js';
import { datasetCountsOf, pendingUntilOf } from '../harness/counts-of.js';
import { imageNamed } from '../harness/stored-image.js';
import {
  type DatasetCounts,
  type DatasetFile,
  liveUntil,
  MICROS_PER_SECOND,
  nextChangeOf,
  type PendingFile,
  type ReceivedFile,
  type Status,
  type StatusRules,
  type StoredFile,
  statusOf,
} from '../../src/dataset/dataset.js';
import { findingsOf } from '../../src/dataset/findings.js';
import type { Inspection } from '../../src/dataset/inspect/inspection.js';
import { mediaTypeOf, stemOf } from '../../src/dataset/media.js';
import { ROLES } from '../../src/dataset/pairs/roles.js';
import { errorIn } from '../../src/dataset/problems.js';

const RULES: StatusRules = { captionGrace: 15 * MICROS_PER_SECOND };
const LINK_LIFETIME = 60 * MICROS_PER_SECOND;
const LEASE = 20 * MICROS_PER_SECOND;
const HOLDER = 'holder';
const FILENAMES = ['a.jpg', 'a.JPG', 'a.png', 'a.txt', 'a.mp4', 'b.gif', 'b.txt', 'c.webp', 'c.txt'];

/** A dataset as the catalog stores it: files, and counts that each change updates by its difference. */
class Model {
  now = 1_000_000_000;
  files: readonly DatasetFile[] = [];
  counts: DatasetCounts = datasetCountsOf([], this.now);
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
      unpaired: 0,
      pendingUntil: pendingUntilOf(this.files),
      lastActivity: this.now,
    };
    return true;
  }

  pending(): PendingFile[] {
    return this.files.filter((file): file is PendingFile => file.upload.state === 'pending');
  }

  received(): ReceivedFile[] {
    return this.files.filter((file): file is ReceivedFile => file.upload.state === 'received');
  }

  stored(filename: string): StoredFile | undefined {
    return this.files.find((file): file is StoredFile => file.upload.state === 'stored' && file.filename === filename);
  }
}

const holderOf = ({ id }: DatasetFile) => ({ id, token: HOLDER });

function storedUpload({ now }: Model, sizeBytes: number): StoredFile['upload'] {
  return { ...imageNamed('a').upload, sizeBytes, finalizedAt: now };
}

const receivedUpload = (model: Model, sizeBytes: number): ReceivedFile['upload'] => {
  const { finalizedAt, problem: _, ...bytes } = storedUpload(model, sizeBytes);
  return { ...bytes, state: 'received', receivedAt: finalizedAt };
};

type Step =
  | { do: 'reserve'; filename: string; via: 'link' | 'direct' }
  | {
      do: 'acquire' | 'renew' | 'release' | 'finalize' | 'receive' | 'reject' | 'accept' | 'reject received';
      pick: number;
    }
  | { do: 'recheck'; filename: string; isIntact: boolean }
  | { do: 'uploadLong'; filename: string }
  | { do: 'upload'; filename: string }
  | { do: 'remove'; filename: string }
  | { do: 'withdraw'; filename: string }
  | { do: 'wait'; seconds: number };

const INTACT: Inspection = {
  ok: true,
  contentType: 'image/png',
  facts: { kind: 'caption', characters: 2 },
  warnings: [],
};
const DAMAGED: Inspection = { ok: false, problem: errorIn('a file', 'IMAGE_CORRUPT', 'a file is broken') };

const filename = fc.constantFrom(...FILENAMES);
const weighted = (weight: number, actions: readonly Step['do'][], fields: Record<string, fc.Arbitrary<unknown>>) => ({
  weight,
  arbitrary: fc.record({ do: fc.constantFrom(...actions), ...fields }),
});
const step = fc.oneof(
  // Complete uploads and removals are the most frequent: otherwise nearly every history has pending uploads at all times.
  weighted(8, ['upload', 'upload', 'upload', 'remove'], { filename }),
  weighted(2, ['withdraw', 'uploadLong'], { filename }),
  weighted(1, ['reserve'], { filename, via: fc.constantFrom('link', 'direct') }),
  weighted(3, ['acquire', 'renew', 'release', 'finalize', 'receive', 'reject'], { pick: fc.nat(20) }),
  weighted(4, ['accept', 'reject received'], { pick: fc.nat(20) }),
  weighted(1, ['recheck'], { filename, isIntact: fc.boolean() }),
  weighted(2, ['wait'], { seconds: fc.constantFrom(0.5, 5, 15, 30, 61) }),
) as fc.Arbitrary<Step>;

function perform(model: Model, action: Step): void {
  if (action.do === 'wait') {
    model.now += action.seconds * MICROS_PER_SECOND;
    return;
  }
  model.now += 1;
  if (action.do === 'reserve') {
    const file = model.newPending(action.filename, action.via);
    model.change(action.filename, (group) => reserve(group, file));
    return;
  }
  if (action.do === 'upload' || action.do === 'uploadLong') {
    const file = model.newPending(action.filename, 'direct');
    const upload = action.do === 'upload' ? storedUpload(model, 100) : receivedUpload(model, 100);
    model.change(action.filename, (group) => reserve(group, file));
    model.change(action.filename, (group) => finalize(group, holderOf(file), upload));
    return;
  }
  if (action.do === 'recheck') {
    const id = model.stored(action.filename)?.id ?? '';
    model.change(action.filename, (group) => recordRecheck(group, id, action.isIntact ? INTACT : DAMAGED));
    return;
  }
  if (action.do === 'remove' || action.do === 'withdraw') {
    const transition = action.do === 'remove' ? remove : withdrawUploads;
    model.change(action.filename, (group) => transition(group, action.filename));
    return;
  }
  const isCheck = action.do === 'accept' || action.do === 'reject received';
  const candidates: readonly DatasetFile[] = isCheck ? model.received() : model.pending();
  const file = candidates[action.pick % Math.max(candidates.length, 1)];
  if (file === undefined) return;
  const { id } = file;
  const lease = { now: model.now, until: model.now + LEASE, token: HOLDER };
  const holder = { id, token: HOLDER };
  const problem = errorIn(file.filename, 'IMAGE_CORRUPT', 'is broken');
  const transitions = {
    acquire: (group: StemGroup) => acquireLease(group, id, lease),
    renew: (group: StemGroup) => renewLease(group, holder, lease),
    release: (group: StemGroup) => releaseLease(group, holder),
    finalize: (group: StemGroup) => finalize(group, holder, storedUpload(model, 100 + action.pick)),
    receive: (group: StemGroup) => finalize(group, holder, receivedUpload(model, 100 + action.pick)),
    reject: (group: StemGroup) => reject(group, holder, { state: 'rejected', problem, finalizedAt: model.now }),
    accept: (group: StemGroup) => acceptReceived(group, id, storedUpload(model, 100 + action.pick)),
    'reject received': (group: StemGroup) =>
      rejectReceived(group, id, { state: 'rejected', problem, finalizedAt: model.now }),
  };
  model.change(file.filename, transitions[action.do]);
}

/** The status by the table in docs/datasets.md, from the files instead of the counts. */
function expectedStatus(model: Model): Status {
  const { files, now, counts } = model;
  if (files.length === 0) return 'DRAFT';
  const pending = model.pending();
  if (model.received().length > 0) return 'UPLOADING';
  if (pending.some((file) => liveUntil(file.upload) > now)) return 'UPLOADING';
  const stored = files.filter((file) => file.upload.state === 'stored');
  const media = stored.filter((file) => file.kind !== 'caption');
  const mountedNames = stored.map(
    (file) => stemOf(file.filename) + file.filename.slice(stemOf(file.filename).length).toLowerCase(),
  );
  const isBroken =
    pending.length > 0 ||
    files.some((file) => file.upload.state === 'rejected') ||
    stored.some((file) => (file as StoredFile).upload.problem !== undefined) ||
    new Set(mountedNames).size < mountedNames.length;
  if (isBroken) return 'FAILED';
  const captions = new Set(stored.filter((file) => file.kind === 'caption').map((file) => stemOf(file.filename)));
  const isIncomplete =
    media.some((file) => !captions.has(stemOf(file.filename))) ||
    !media.some((file) => /\.(jpe?g|png|webp|mp4)$/i.test(file.filename));
  if (!isIncomplete) return 'READY';
  return now - counts.lastActivity < RULES.captionGrace ? 'UPLOADING' : 'FAILED';
}

test('after any history of uploads, leases, checks, removals and waiting, counts, status, findings and files agree', () => {
  const storedIn = (model: Model) => FILENAMES.filter((name) => model.stored(name) !== undefined);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(200), (steps, seconds) => {
      const model = new Model();
      for (const action of steps) {
        const before = storedIn(model);
        perform(model, action);
        const { counts, files, now } = model;
        // The counts that each change updates are those of a full recount.
        expect(counts).toEqual(datasetCountsOf(files, counts.lastActivity));
        const status = statusOf(counts, now, RULES);
        expect(status).toBe(expectedStatus(model));
        // A READY dataset has no errors, and a FAILED one has at least one.
        for (const role of ROLES) {
          const inRole = statusOf(countsInRole(counts, role), now, RULES);
          const { errors } = findingsOf(files, now, { role });
          if (inRole === 'READY') expect(errors).toEqual([]);
          if (inRole === 'FAILED') expect(errors.length).toBeGreaterThan(0);
        }
        // Without a change, the status stays the same until the time that is named.
        const next = nextChangeOf(counts, now, RULES) ?? Number.POSITIVE_INFINITY;
        const later = now + seconds * MICROS_PER_SECOND;
        expect(next).toBeGreaterThan(now);
        if (later < next) expect(statusOf(counts, later, RULES)).toBe(status);
        // A stored file disappears only when it is replaced by another stored file, or removed.
        if (action.do !== 'remove') expect(storedIn(model)).toEqual(expect.arrayContaining(before));
        const finalized = files
          .filter(({ upload }) => upload.state === 'stored' || upload.state === 'rejected')
          .map((file) => file.filename);
        expect(new Set(finalized).size).toBe(finalized.length);
      }
    }),
    { numRuns: 500 },
  );
});

test('a holder whose lease expired and was acquired by another can change nothing', () => {
  const model = new Model();
  const link = model.newPending('a.jpg', 'link');
  model.change('a.jpg', (group) => reserve(group, link));
  const acquire = (token: string) =>
    model.change('a.jpg', (group) => acquireLease(group, link.id, { now: model.now, until: model.now + LEASE, token }));
  acquire('suspended');
  model.now += LEASE;
  expect(acquire('other')).toBe(true);
  const suspended = { id: link.id, token: 'suspended' };
  const lease = { now: model.now, until: model.now + LEASE };
  const problem = errorIn('a.jpg', 'IMAGE_CORRUPT', 'is broken');
  const upload = storedUpload(model, 1);
  for (const transition of [
    (group: StemGroup) => renewLease(group, suspended, lease),
    (group: StemGroup) => finalize(group, suspended, upload),
    (group: StemGroup) => reject(group, suspended, { state: 'rejected', problem, finalizedAt: model.now }),
    (group: StemGroup) => releaseLease(group, suspended),
  ]) {
    expect(model.change('a.jpg', transition)).toBe(false);
  }
  expect(model.change('a.jpg', (group) => finalize(group, { ...suspended, token: 'other' }, upload))).toBe(true);
});
