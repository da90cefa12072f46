import { IS_WHOLE } from './available.js';

/**
 * Test files that take longest, in three parts of about the same length. `npm test` runs one part on each day, and
 * `npm run test:whole` all.
 */
export const PARTS_OF_SLOW_TESTS: readonly (readonly string[])[] = [
  [
    'test/cli/{check,datasets,fix,link,mount-wait,push}.test.ts',
    'test/service/check/background-checks.test.ts',
    'test/service/download/zip.test.ts',
    'test/service/mount/kill.test.ts',
    'test/service/store-check/check-store.test.ts',
    'test/service/transfer/migrate.test.ts',
    'test/web/captions/caption-field.test.ts',
    'test/web/fitness/pairs.test.ts',
    'test/web/live/large-dataset.test.ts',
    'test/web/pairs/many.test.ts',
    'test/web/upload/pairs.test.ts',
    'test/faults/{instances,killed/killed-cleanup,slow}.test.ts',
  ],
  [
    'test/cli/hostile-server.test.ts',
    'test/cli/pairs/roles.test.ts',
    'test/corpus/slice.test.ts',
    'test/service/inspection/inspection-pool.test.ts',
    'test/service/mount/{foreign-files,limits,linked}.test.ts',
    'test/service/transfer/backup.test.ts',
    'test/service/upload/presigned-uploads.test.ts',
    'test/storage/catalog/trash.test.ts',
    'test/storage/database/postgres.test.ts',
    'test/web/accessibility.test.ts',
    'test/web/captions/{captions-view,two-people}.test.ts',
    'test/web/datasets/datasets.test.ts',
    'test/web/fitness/convert.test.ts',
    'test/web/history/history.test.ts',
    'test/faults/{connections,full-disk,history,hostile-fairness,s3,shared-store}.test.ts',
  ],
  [
    'test/cli/pairs/{links,push-pairs}.test.ts',
    'test/cli/sync/two-way.test.ts',
    'test/dataset/inspect/memory.test.ts',
    'test/printed-commands.test.ts',
    'test/server/limits/secrets.test.ts',
    'test/service/check/{background-rechecks,deferred-decode}.test.ts',
    'test/service/inspection/clip/decode-clip.test.ts',
    'test/service/mount/{kill-linked,mount-root,mount}.test.ts',
    'test/storage/blobs/s3/s3-blobs.test.ts',
    'test/storage/catalog/long-changes/long-changes.test.ts',
    'test/web/page.test.ts',
    'test/web/pairs/{changes,pairs-view}.test.ts',
    'test/web/upload/{faults,interrupted,replace}.test.ts',
    'test/faults/{concurrency,early-refusals,faulty-store,instance-clock,memory-limit,slow-and-away}.test.ts',
  ],
];

const DAY_MS = 86_400_000;

/** The number of the part of `count` parts that `npm test` runs today, from 0. */
export function partOfToday(count: number): number {
  return Math.floor(Date.now() / DAY_MS) % count;
}

/** Of some parts, those that do not run today; none where all run, or where the command names files itself. */
export function notToday<Part>(parts: readonly Part[]): Part[] {
  const namesFiles = process.argv.slice(2).some((word) => !word.startsWith('-') && word.includes('test/'));
  return IS_WHOLE || namesFiles ? [] : parts.filter((_, i) => i !== partOfToday(parts.length));
}
