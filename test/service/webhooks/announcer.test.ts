import { expect, onTestFinished, test } from 'vitest';
import type { DatasetService } from '../../../src/service/datasets.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { Announcer } from '../../../src/service/webhooks/announcer.js';
import { type Announcement, Announcements } from '../../../src/storage/catalog/webhooks/announcements.js';
import { Webhooks } from '../../../src/storage/catalog/webhooks/webhooks.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { eventually } from '../../harness/server.js';

const DATASETS = 1000;
const MAX_DATASETS_A_TURN = 200;

/** Counts turns of the event loop, in which requests are answered. */
function countTurns() {
  const turns = { count: 0 };
  let next = setImmediate(function onTurn() {
    turns.count++;
    next = setImmediate(onTurn);
  });
  onTestFinished(() => clearImmediate(next));
  return turns;
}

/** Notes in which turn of the event loop how many datasets were read or written. */
class ObservedAnnouncements extends Announcements {
  readonly turns = countTurns();
  readonly readIn = new Map<number, number>();
  writes = 0;

  override async watchedAfter(after: string, limit: number) {
    return this.#noted(await super.watchedAfter(after, limit), ({ length }) => length);
  }

  override async deletedAfter(after: string, limit: number) {
    return this.#noted(await super.deletedAfter(after, limit), () => limit);
  }

  override async begin(announcements: readonly Announcement[]) {
    if (announcements.length > 0) this.writes++;
    return super.begin(announcements);
  }

  #noted<T>(page: T, count: (page: T) => number): T {
    const { count: turn } = this.turns;
    this.readIn.set(turn, (this.readIn.get(turn) ?? 0) + count(page));
    return page;
  }
}

onEach(catalogs, (open) => {
  test('requests have a turn after each 200 of many watched datasets; what was missed is still announced', async () => {
    const { accountId, catalog, database } = await open();
    const { query } = database;
    await catalog.createDataset({ id: 'template', accountId, name: 'template', createdAt: 1 });
    const template = await query.selectFrom('dataset').selectAll().executeTakeFirstOrThrow();
    for (let from = 0; from < DATASETS - 1; from += 333) {
      const rows = Array.from({ length: 333 }, (_, i) => ({ ...template, id: `d${from + i}`, name: `d${from + i}` }));
      await query.insertInto('dataset').values(rows).execute();
    }
    const hook = { id: 'hook', accountId, url: 'https://queue.example/', secret: 'whsec_', createdAt: 1 };
    await new Webhooks(database).add({ ...hook, events: ['dataset.deleted'], disabledAt: null }, 1);

    const announcements = new ObservedAnnouncements(database);
    const errors: unknown[] = [];
    let ids = 0;
    const dependencies = { catalog, now: () => 1_000_000, newId: () => `${ids++}`, rules: { captionGrace: 0 } };
    const announcer = new Announcer(dependencies as unknown as ServiceDependencies, {
      announcements,
      datasets: {} as DatasetService,
      toWire: () => ({}),
      onRecorded: () => {},
      onError: (error) => errors.push(error),
    });
    onTestFinished(() => announcer.stop());
    announcer.start();
    const known = async () => {
      const count = query.selectFrom('announcement').select(({ fn }) => fn.countAll<number>().as('count'));
      return (await count.executeTakeFirstOrThrow()).count;
    };
    await eventually(async () => ((await known()) === DATASETS ? true : undefined));
    expect(announcements.writes).toBe(DATASETS / MAX_DATASETS_A_TURN);

    await query.deleteFrom('dataset').where('id', 'like', 'd7%').execute();
    const left = (await query.selectFrom('dataset').select('id').execute()).length;
    announcer.compareAll();
    await eventually(async () => ((await known()) === left ? true : undefined));
    expect(Math.max(...announcements.readIn.values())).toBeLessThanOrEqual(MAX_DATASETS_A_TURN);
    const sent = await query.selectFrom('webhook_delivery').select('event').distinct().execute();
    expect([sent, errors]).toEqual([[{ event: 'dataset.deleted' }], []]);
  });
});
