import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { remove, reserve, store } from '../../../src/dataset/upload-transitions.js';
import { DatasetService } from '../../../src/service/datasets.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { JobRunner } from '../../../src/service/jobs/job-runner.js';
import { WebhookService } from '../../../src/service/webhooks/webhook-service.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { query } from '../../../src/storage/database/database.js';
import { Jobs } from '../../../src/storage/catalog/jobs.js';
import { Webhooks } from '../../../src/storage/catalog/webhooks.js';
import { onCatalogs } from '../../harness/backends.js';
import { isSigned, type Receiver, startReceiver } from '../../harness/receiver.js';
import { eventually } from '../../harness/server.js';
import { imageNamed, linkNamed } from '../../harness/stored-image.js';

const SECOND = 1_000_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** The caption grace. It ends only when a test advances the clock. */
const GRACE = HOUR;

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver.close());

const received = (count: number) => eventually(() => (receiver.received.length >= count ? true : undefined));

onCatalogs((open) => {
  /** An account with a webhook, unless `hooks` is 0, and the jobs of a server that is not started yet. */
  const openAccount = async ({ hooks = 1 } = {}) => {
    const { accountId, database } = await open();
    let ahead = 0;
    let ids = 0;
    const errors: unknown[] = [];
    const jobs = new Jobs(database);
    const catalog = new Catalog(database, { blobGrace: 1, captionGrace: GRACE });
    const started = Date.now() * 1000;
    const now = () => started + ahead;
    const rules = { captionGrace: GRACE, leaseDuration: MINUTE };
    const parts = { catalog, jobs, now, rules, newId: () => `id${++ids}` };
    const dependencies = parts as unknown as ServiceDependencies;
    const datasets = new DatasetService(dependencies);
    const service = new WebhookService(dependencies, {
      ...{ database, allow: ['127.0.0.1'], datasets, userAgent: 'test' },
      toWire: ({ dataset, status }) => ({ id: dataset.id, status }),
      machineTime: () => Date.now() * 1000,
      onAttempt: () => {},
      onDisabled: () => {},
    });
    const kinds = service.handlers.map(({ kind }) => kind);
    const onError = (error: unknown) => errors.push(error);
    const handling = { handlers: service.handlers, leaseDuration: MINUTE, isAlone: true, onError };
    const runner = new JobRunner({ ...parts, ...handling });
    onTestFinished(() => runner.stop());
    onTestFinished(() => expect(errors).toEqual([]));
    for (let i = 0; i < hooks; i++) await service.add({ accountId, url: receiver.url });
    const create = (id: string) =>
      catalog.createDataset({ id, accountId, role: 'control', name: id, createdAt: now() });
    const change = (datasetId: string, name: string, transition: Parameters<Catalog['change']>[1]) =>
      catalog.change({ datasetId, filenames: [`${name}.jpg`], now: now(), isActivity: true }, transition);
    /** Stores an image. A control needs no captions, so that its dataset is READY. */
    const put = (datasetId: string, name: string, id = newFileId()) =>
      change(datasetId, name, (group) => store(group, { ...imageNamed(name), id, datasetId }, undefined));
    /** Reserves an upload that expires after two hours: the dataset is FAILED then. */
    const reserveLink = (datasetId: string, name: string) => {
      const file = linkNamed(datasetId, `${name}.jpg`, now() + 2 * HOUR);
      return change(datasetId, name, (group) => reserve(group, file));
    };
    const takeBack = (datasetId: string, name: string) =>
      change(datasetId, name, (group) => remove(group, `${name}.jpg`));
    /** Advances the clock, and resolves once all jobs that are due then have ended. */
    const advance = async (micros: number) => {
      ahead += micros;
      jobs.wake();
      await eventually(async () => {
        const due = query
          .selectFrom('job')
          .select('key')
          .where('kind', 'in', kinds)
          .where((eb) => eb.or([eb('lease', 'is not', null), eb('due_at', '<=', now())]));
        return (await database.run(due)).length === 0 ? true : undefined;
      });
    };
    const events = () => receiver.events().map(({ type, data }) => `${type} ${data.id}`);
    return {
      ...{ accountId, database, catalog, jobs, service, runner, webhooks: new Webhooks(database) },
      ...{ create, put, reserveLink, takeBack, advance, events },
    };
  };
  let fileIds = 0;
  const newFileId = () => `file${++fileIds}`;

  test('a change and a deletion that no process has noticed before a crash are delivered after the start', async () => {
    const { accountId, catalog, runner, create, put, advance, events } = await openAccount();
    for (const id of ['dogs', 'cats']) await create(id);
    await put('dogs', 'a');
    await catalog.deleteDataset({ accountId, id: 'cats' }, 5);
    runner.start();
    await advance(GRACE);
    expect(events()).toEqual(['dataset.deleted cats', 'dataset.ready dogs']);
  });

  test('many changes are one event, and a status that did not last the grace is none', async () => {
    const { runner, create, put, reserveLink, takeBack, advance, events } = await openAccount();
    await create('dogs');
    runner.start();
    await put('dogs', 'a');
    await advance(GRACE / 2);
    await put('dogs', 'b');
    await advance(GRACE / 2);
    expect(events()).toEqual([]);
    // READY for half of the grace, then UPLOADING until the upload is withdrawn.
    await reserveLink('dogs', 'c');
    await advance(GRACE);
    expect(events()).toEqual([]);
    await takeBack('dogs', 'c');
    await advance(GRACE);
    expect(events()).toEqual(['dataset.ready dogs']);
  });

  test('a dataset becomes FAILED as time passes; READY with the same files is an event only after that', async () => {
    const { accountId, service, runner, create, put, reserveLink, takeBack, advance, events } = await openAccount();
    await create('dogs');
    await put('dogs', 'a', 'a');
    runner.start();
    await advance(GRACE);
    await put('dogs', 'b');
    await takeBack('dogs', 'b');
    await advance(GRACE);
    expect(events()).toEqual(['dataset.ready dogs']);
    await reserveLink('dogs', 'c');
    await advance(GRACE);
    await advance(GRACE);
    expect(events()).toEqual(['dataset.ready dogs', 'dataset.failed dogs']);
    // A new webhook receives the events of uploads that were reserved before it, also if a deleted one has received them.
    await service.remove({ accountId, id: (await service.list(accountId))[0]!.id });
    await reserveLink('dogs', 'd');
    await service.add({ accountId, url: receiver.url });
    await advance(2 * HOUR);
    await advance(GRACE);
    expect(events().slice(2)).toEqual(['dataset.failed dogs']);
    for (const name of ['c', 'd']) await takeBack('dogs', name);
    await advance(GRACE);
    expect(events().slice(3)).toEqual(['dataset.ready dogs']);
  });

  test('requests are signed with the time of the machine, not of a clock that is ahead; what a disabled webhook did not get is sent at once when it is enabled', async () => {
    const { accountId, service, runner, advance } = await openAccount({ hooks: 0 });
    const { id, secret } = await service.add({ accountId, url: receiver.url });
    await service.test({ accountId, id });
    runner.start();
    await advance(HOUR);
    expect(receiver.received.map((request) => isSigned(request, secret))).toEqual([true]);
    receiver.answer = (response) => response.writeHead(500).end();
    for (const isEnabled of [true, false]) {
      await service.change({ accountId, id }, { isEnabled });
      await service.test({ accountId, id });
      await advance(0);
      expect(receiver.received.length).toBe(2);
    }
    await service.change({ accountId, id }, { isEnabled: true });
    await advance(0);
    expect(receiver.received.length).toBe(4);
  });

  /** A webhook whose first request is in flight. */
  const openUnanswered = async () => {
    const opened = await openAccount();
    const [hook] = await opened.service.list(opened.accountId);
    const unanswered: ServerResponse[] = [];
    receiver.answer = (response) => unanswered.push(response);
    const sendTest = () => opened.service.test({ accountId: opened.accountId, id: hook!.id });
    for (let i = 0; i < 2; i++) await sendTest();
    opened.runner.start();
    await received(1);
    const answer = async (status: number) => {
      unanswered.shift()?.writeHead(status).end();
      await eventually(() => (opened.runner.inFlight('deliver') === 0 || unanswered.length > 0 ? true : undefined));
    };
    const states = async () =>
      (await opened.webhooks.deliveries(hook!.id)).map((each) => `${each.attempts}: ${each.answer}`).sort();
    return { ...opened, hook, sendTest, answer, states };
  };

  test('the requests of a webhook are sent one at a time; a failed one is sent again after longer and longer pauses, nine times in all', async () => {
    const { webhooks, hook, sendTest, answer, states, advance } = await openUnanswered();
    await answer(308);
    await received(2);
    await answer(202);
    expect([receiver.received.length, await states()]).toEqual([2, ['1: 202', '1: 308']]);
    receiver.answer = (response) => response.writeHead(204).end();
    await advance(10 * SECOND);
    expect(await states()).toEqual(['1: 202', '2: 204']);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect([ids.length, new Set(ids).size]).toEqual([3, 2]);
    receiver.answer = (response) => response.writeHead(500).end();
    const { id } = await sendTest();
    for (const seconds of [5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000]) {
      await advance(13 * HOUR);
      const failed = (await webhooks.deliveries(hook!.id)).find((each) => each.id === id)!;
      const pause = (failed.next_at! - failed.attempted_at!) / SECOND;
      expect(Math.abs(pause / seconds - 1), `${pause} s instead of ${seconds} s`).toBeLessThan(0.21);
    }
    for (let i = 0; i < 2; i++) await advance(13 * HOUR);
    expect(await states()).toEqual(['1: 202', '2: 204', '9: 500']);
  });
});
