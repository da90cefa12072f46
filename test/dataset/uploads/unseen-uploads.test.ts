import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acceptReceived, rejectReceived } from '../../../src/dataset/check-transitions.js';
import { countsOf, usageOf } from '../../../src/dataset/counts.js';
import {
  type CompleteFile,
  type DatasetFile,
  isRetired,
  MICROS_PER_SECOND,
  type PendingFile,
  type StoredFile,
  statusOf,
  type WriteCondition,
} from '../../../src/dataset/dataset.js';
import { findingsOf } from '../../../src/dataset/findings.js';
import { errorIn } from '../../../src/dataset/problems.js';
import {
  acquireLease,
  finalize,
  receive,
  reject,
  releaseLease,
  remove,
  reserve,
  type StemGroup,
  store,
  withdraw,
  withdrawUploads,
} from '../../../src/dataset/upload-transitions.js';
import { retire } from '../../../src/dataset/uploads/replaced-uploads.js';
import { changedMeanwhile, PreconditionFailed, storedFileIn } from '../../../src/dataset/write-condition.js';

const NAME = 'a.mp4';
const LINK_LIFETIME = 3600 * MICROS_PER_SECOND;
const LEASE = 20 * MICROS_PER_SECOND;

/** What the client of a write expects: nothing, no file, or the file that it saw when it asked. */
type Expected = 'anything' | 'absent' | 'seen';

type Step =
  | { do: 'ask'; expected: Expected }
  | { do: 'put'; pick: number; bytes: number }
  | { do: 'acquire' | 'finalize' | 'fail'; pick: number; isLong: boolean; isFit: boolean }
  | { do: 'upload'; expected: Expected; bytes: number; isLong: boolean }
  | { do: 'save'; expected: Expected; bytes: number }
  | { do: 'check'; pick: number; isFit: boolean }
  | { do: 'poll' }
  | { do: 'delete'; expected: Expected }
  | { do: 'withdraw' }
  | { do: 'wait'; seconds: number };

/**
 * A name in a dataset whose links are presigned, and the store that has the bytes. An upload is acknowledged when the store or the
 * service has answered its client with success.
 */
class Model {
  now = 1_000_000_000;
  group: StemGroup = [];
  /** The hash of the bytes in the store, by file id. */
  readonly objects = new Map<string, string>();
  readonly links: PendingFile[] = [];
  /** Hashes that were in a revision. */
  readonly revisions = new Set<string>();
  /** Ids of acknowledged uploads that are in no revision, and of which the dataset does not say so. */
  readonly unsaid: string[] = [];
  #ids = 0;

  conditionOf(expected: Expected): WriteCondition | undefined {
    const sha256 = storedFileIn(this.group, NAME)?.upload.sha256;
    if (expected === 'anything') return undefined;
    return expected === 'absent' || sha256 === undefined ? { ifNoneMatch: '*' } : { ifMatch: [sha256] };
  }

  pending(via: 'presigned' | 'direct', condition: WriteCondition | undefined): PendingFile {
    const isDirect = via === 'direct';
    const upload = { state: 'pending', via, expectedBytes: isDirect ? null : 1, condition } as const;
    const leaseUntil = isDirect ? this.now + LEASE : null;
    const expiresAt = this.now + (isDirect ? LEASE : LINK_LIFETIME);
    const pending = { ...upload, expiresAt, leaseUntil, leaseToken: isDirect ? 'me' : null };
    return this.#file(pending);
  }

  #file<U extends DatasetFile['upload']>(upload: U): DatasetFile<U> {
    const id = `file-${++this.#ids}`;
    return { id, datasetId: 'd', filename: NAME, kind: 'video', createdAt: this.now, upload };
  }

  bytes(sha256: string) {
    const facts = { kind: 'video', format: 'mp4' } as const;
    return { sizeBytes: 1, sha256, contentType: 'video/mp4', facts, warnings: [], blobVersion: null };
  }

  newStored(sha256: string): StoredFile {
    return this.#file({ state: 'stored', ...this.bytes(sha256), finalizedAt: this.now });
  }

  /** @param mayDrop whether the change removes uploads that its client has not seen, because it asks for that */
  change(transition: (group: StemGroup) => StemGroup | undefined, { mayDrop = false } = {}): boolean {
    const before = this.#undecided();
    const next = transition(this.group);
    if (next === undefined) return false;
    this.group = next;
    const sha256 = storedFileIn(next, NAME)?.upload.sha256;
    if (sha256 !== undefined) this.revisions.add(sha256);
    const after = this.#undecided();
    const kept = new Set([...after.values(), ...this.revisions]);
    const decided = [...before].filter(([id, bytes]) => !after.has(id) && !kept.has(bytes));
    if (!mayDrop && !this.#saysThatOneIsRejected()) this.unsaid.push(...decided.map(([id]) => id));
    return true;
  }

  /** The bytes of uploads that were acknowledged and are not decided about, by file id. */
  #undecided(): Map<string, string> {
    const received = this.group.flatMap(({ id, upload }) => (upload.state === 'received' ? [[id, upload.sha256]] : []));
    const arrived = this.arrived().map(({ id }) => [id, this.objects.get(id)!]);
    return new Map([...received, ...arrived] as [string, string][]);
  }

  #saysThatOneIsRejected(): boolean {
    const isWarned = ({ upload }: CompleteFile) => upload.warnings.some(({ code }) => code === 'REPLACEMENT_REJECTED');
    return this.group.some(
      (file) => file.upload.state === 'rejected' || (file.upload.state !== 'pending' && isWarned(file as CompleteFile)),
    );
  }

  /** Ends an upload whose bytes have arrived, as `UploadLease` does. @returns false if the client is told that it failed */
  end(file: PendingFile, sha256: string, { isLong, isFit }: { isLong: boolean; isFit: boolean }): boolean {
    const holder = { id: file.id, token: 'me' };
    const { now } = this;
    const rejectFor = (problem: ReturnType<typeof errorIn>) =>
      void this.change((group) => reject(group, holder, { state: 'rejected', problem, finalizedAt: now }));
    if (!isFit) {
      rejectFor(errorIn(NAME, 'VIDEO_CORRUPT', 'is broken'));
      return false;
    }
    const { condition } = file.upload;
    try {
      return this.change((group) =>
        isLong
          ? receive(group, holder, { state: 'received', ...this.bytes(sha256), receivedAt: now, condition })
          : finalize(group, holder, { state: 'stored', ...this.bytes(sha256), finalizedAt: now }),
      );
    } catch (error) {
      if (!(error instanceof PreconditionFailed)) throw error;
      if (file.upload.via === 'direct' || error.current?.sha256 === sha256) this.change((g) => withdraw(g, holder));
      else rejectFor(changedMeanwhile(NAME));
      return false;
    }
  }

  arrived(): PendingFile[] {
    const isArrived = ({ id, upload }: DatasetFile) => upload.state === 'pending' && this.objects.has(id);
    return this.group.filter((file): file is PendingFile => isArrived(file));
  }

  acquire({ id }: PendingFile): boolean {
    const lease = { now: this.now, until: this.now + LEASE, token: 'me' };
    return this.change((group) => acquireLease(group, id, lease));
  }

  /** A poll of the store: retires the replaced uploads of which it has no bytes. */
  poll(): void {
    const missing = new Set(this.group.map(({ id }) => id).filter((id) => !this.objects.has(id)));
    const endedBy = this.now - LINK_LIFETIME;
    this.change((group) => retire(group, missing, { now: this.now, endedBy }));
  }

  check(file: DatasetFile, isFit: boolean): void {
    if (file.upload.state !== 'received') return;
    const { sha256 } = file.upload;
    const { now } = this;
    const problem = errorIn(NAME, 'VIDEO_CORRUPT', 'is broken');
    this.change((group) =>
      isFit
        ? acceptReceived(group, file.id, { state: 'stored', ...this.bytes(sha256), finalizedAt: now })
        : rejectReceived(group, file.id, { state: 'rejected', problem, finalizedAt: now }),
    );
  }

  /** Polls, finalizes and checks until nothing is left to do. */
  settle(): void {
    this.now += LEASE;
    for (let round = 0; round < 2; round++) {
      this.poll();
      for (const file of this.arrived()) {
        if (this.acquire(file)) this.end(file, this.objects.get(file.id)!, { isLong: false, isFit: true });
      }
      for (const file of this.group.filter(({ upload }) => upload.state === 'received')) this.check(file, true);
    }
  }

  upload(expected: Expected, sha256: string, isLong: boolean): boolean {
    const file = this.pending('direct', this.conditionOf(expected));
    this.change((group) => reserve(group, file));
    return this.end(file, sha256, { isLong, isFit: true });
  }
}

const isLong = fc.boolean();
const isFit = fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) });
const expected = fc.constantFrom<Expected>('anything', 'absent', 'seen', 'seen');
const pick = fc.nat(10);
const bytes = fc.nat(6);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ask'), expected }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('put'), pick, bytes }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('acquire'), pick, isLong, isFit }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('finalize', 'finalize', 'fail'), pick, isLong, isFit }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('upload'), expected, bytes, isLong }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('save'), expected, bytes }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('check'), pick, isFit }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('poll') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete'), expected }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait'), seconds: fc.constantFrom(1, 21, 3700) }) },
) as fc.Arbitrary<Step>;

function perform(model: Model, action: Step): void {
  model.now += action.do === 'wait' ? action.seconds * MICROS_PER_SECOND : 1;
  const picked = <T>(from: readonly T[], index: number) => from[index % Math.max(from.length, 1)];
  switch (action.do) {
    case 'wait':
      return;
    case 'ask': {
      const link = model.pending('presigned', model.conditionOf(action.expected));
      model.links.push(link);
      model.change((group) => reserve(group, link));
      return;
    }
    case 'put': {
      // A store keeps the first object that a link writes.
      const link = picked(model.links, action.pick);
      const isValid = link !== undefined && link.upload.expiresAt > model.now && !model.objects.has(link.id);
      if (isValid) model.objects.set(link.id, `bytes ${action.bytes}`);
      return;
    }
    case 'acquire': {
      const file = picked(model.arrived(), action.pick);
      if (file !== undefined) model.acquire(file);
      return;
    }
    case 'finalize':
    case 'fail': {
      const file = picked(model.arrived(), action.pick);
      if (file === undefined) return;
      if (action.do === 'fail') model.change((group) => releaseLease(group, { id: file.id, token: 'me' }));
      else model.end(file, model.objects.get(file.id)!, action);
      return;
    }
    case 'upload':
      model.upload(action.expected, `bytes ${action.bytes}`, action.isLong);
      return;
    case 'save': {
      const file = model.newStored(`bytes ${action.bytes}`);
      model.change((group) => orUnmet(() => store(group, file, model.conditionOf(action.expected))));
      return;
    }
    case 'check': {
      const received = model.group.filter(({ upload }) => upload.state === 'received');
      const file = picked(received, action.pick);
      if (file !== undefined) model.check(file, action.isFit);
      return;
    }
    case 'poll':
      model.poll();
      return;
    case 'delete': {
      const condition = model.conditionOf(action.expected);
      const conditional = condition && { condition, now: model.now };
      const transition = (group: StemGroup) => orUnmet(() => remove(group, NAME, conditional));
      model.change(transition, { mayDrop: conditional === undefined });
      return;
    }
    case 'withdraw':
      model.change((group) => withdrawUploads(group, NAME), { mayDrop: true });
      return;
  }
}

function orUnmet(write: () => StemGroup | undefined): StemGroup | undefined {
  try {
    return write();
  } catch (error) {
    if (error instanceof PreconditionFailed) return undefined;
    throw error;
  }
}

const history = fc.array(step, { maxLength: 40 });
const runs = { numRuns: 4000 };

function runAll(steps: readonly Step[], after: (model: Model) => void = () => {}): Model {
  const model = new Model();
  for (const action of steps) {
    perform(model, action);
    after(model);
  }
  return model;
}

describe('after any history of asking for links, of uploads through old and new ones, and of other writes of the name', () => {
  test('an upload that was acknowledged is in a revision, or the dataset says that it is not', () => {
    fc.assert(
      fc.property(history, (steps) => {
        // The surplus of many links that were replaced before they were polled for is dropped.
        fc.pre(steps.filter((action) => action.do === 'ask').length <= 10);
        const model = runAll(steps);
        model.settle();
        expect(model.unsaid).toEqual([]);
      }),
      runs,
    );
  });

  test('a last upload without a condition wins, and no link that was not used keeps the dataset from its final status', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const model = runAll(steps);
        model.now += LEASE;
        expect(model.upload('anything', 'the last', false)).toBe(true);
        model.settle();
        expect(storedFileIn(model.group, NAME)?.upload.sha256).toBe('the last');
        expect(countsOf(model.group, 0)).toMatchObject({ pending: 0, received: 0, rejected: 0, videos: 1 });
      }),
      runs,
    );
  });

  test('a client that asks for a link again and uploads through it has its file, at the latest after the next poll', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const model = runAll(steps);
        model.now += LEASE;
        perform(model, { do: 'ask', expected: 'anything' });
        model.objects.set(model.links.at(-1)!.id, 'the last');
        model.settle();
        expect(storedFileIn(model.group, NAME)?.upload.sha256).toBe('the last');
        expect(countsOf(model.group, 0)).toMatchObject({ pending: 0, received: 0, rejected: 0, videos: 1 });
      }),
      runs,
    );
  });

  test('withdrawing leaves a name with the bytes of its stored file alone', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { group } = runAll([...steps, { do: 'withdraw' }]);
        expect(usageOf(group)).toEqual(usageOf(group.filter(({ upload }) => upload.state === 'stored')));
      }),
      runs,
    );
  });

  test('a name has few rows, and none of an old link after the links have ended', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const model = runAll(steps, ({ group }) => {
          const replaced = group.filter(({ upload }) => upload.state === 'pending' && upload.replaced !== undefined);
          expect(replaced.length).toBeLessThanOrEqual(10);
          const retired = group.filter(({ upload }) => isRetired(upload));
          const { pending } = countsOf(group, 0);
          expect(pending).toBe(group.filter(({ upload }) => upload.state === 'pending').length - retired.length);
        });
        model.settle();
        model.now += 3 * LINK_LIFETIME;
        model.poll();
        expect(model.group.filter(({ upload }) => isRetired(upload))).toEqual([]);
      }),
      runs,
    );
  });
});

describe('a presigned upload whose name is uploaded again', () => {
  const statusAt = (group: StemGroup, now: number) => statusOf(countsOf(group, 0), now, { captionGrace: 0 });

  test('keeps the dataset UPLOADING until the store was polled, also if its link has expired', () => {
    const model = new Model();
    const link = model.pending('presigned', undefined);
    model.change((group) => reserve(group, link));
    model.now += 2 * LINK_LIFETIME;
    expect(statusAt(model.group, model.now)).toBe('FAILED');
    model.upload('anything', 'new', false);
    expect(statusAt(model.group, model.now)).toBe('UPLOADING');
    model.poll();
    expect(findingsOf(model.group, model.now).errors.map(({ code }) => code)).toEqual(['MISSING_CAPTION']);
    expect(countsOf(model.group, 0).pending).toBe(0);
  });

  test('is one of few: of many links of a name that were never used, the latest are kept', () => {
    const model = new Model();
    for (let i = 0; i < 30; i++) perform(model, { do: 'ask', expected: 'anything' });
    expect(model.group.map(({ id }) => id)).toEqual(model.links.slice(-11).map(({ id }) => id));
  });

  test('leaves a deleted file deleted, and does not count as one', () => {
    const model = new Model();
    model.upload('anything', 'old', false);
    perform(model, { do: 'ask', expected: 'seen' });
    perform(model, { do: 'delete', expected: 'seen' });
    model.poll();
    expect(statusAt(model.group, model.now)).toBe('DRAFT');
    expect(remove(model.group, NAME)).toBeUndefined();
    perform(model, { do: 'put', pick: 0, bytes: 1 });
    model.settle();
    expect(findingsOf(model.group, model.now).errors.map(({ code }) => code)).toEqual(['FILE_CHANGED']);
  });
});
