import { randomUUID } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { onDatabase, type RunningPostgres, startPostgres } from '../test/harness/postgres.js';
import { newPlace as newBucket, s3Environment } from '../test/harness/s3.js';
import { setup as watchCeph } from '../test/harness/shared-ceph.js';

/** The values of `--backend`. */
export const BACKENDS = ['postgres', 's3'] as const;

export type Backend = (typeof BACKENDS)[number];

/** An empty database and an empty prefix of a bucket, or one of them, or neither. */
export interface EmptyInstallation {
  /** `Postgres + S3` */
  readonly name: string;
  /** The environment of a server that uses them. */
  readonly env: Readonly<Record<string, string>>;
  readonly discard: () => Promise<void>;
}

/** Settings of a Postgres in production: it waits for the disk at each commit, and starts no checkpoint during a row. */
const POSTGRES_SETTINGS = { shared_buffers: '512MB', max_wal_size: '4GB', checkpoint_timeout: '30min' };

/**
 * The database and the store of a run, each started when it is first needed: a Postgres in the run's folder or the one of
 * TEST_DATABASE_URL, and a Ceph or the store at TEST_S3_ENDPOINT.
 */
export class Backends {
  readonly #folder: string;
  #postgres: Promise<RunningPostgres> | undefined;
  #leaveCeph: (() => void) | undefined;

  /** @param folder is opened to other users, since Postgres does not run as root */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async newInstallation(...backends: readonly Backend[]): Promise<EmptyInstallation> {
    const isUsed = (backend: Backend) => backends.includes(backend);
    const database = isUsed('postgres') ? await this.#newDatabase() : undefined;
    const bucket = isUsed('s3') ? await this.#newBucket() : undefined;
    return {
      name: `${database === undefined ? 'SQLite' : 'Postgres'} + ${bucket === undefined ? 'disk' : 'S3'}`,
      env: { ...database?.env, ...bucket?.env },
      discard: async () => {
        await Promise.all([database?.discard(), bucket?.discard()]);
      },
    };
  }

  async stop(): Promise<void> {
    await (await this.#postgres)?.discard();
    this.#leaveCeph?.();
  }

  async #newDatabase() {
    const server = process.env.TEST_DATABASE_URL ?? (await this.#running()).url;
    const name = `bench_${randomUUID().replaceAll('-', '')}`;
    await onDatabase(server, `create database ${name}`);
    const url = new URL(server);
    url.pathname = name;
    return {
      env: { DATABASE_URL: url.href },
      discard: () => onDatabase(server, `drop database if exists ${name} with (force)`),
    };
  }

  async #newBucket() {
    this.#leaveCeph ??= watchCeph();
    const env = await s3Environment();
    const bucket = newBucket();
    return { env: { ...env, BLOBS_URL: bucket.url() }, discard: bucket.empty };
  }

  #running(): Promise<RunningPostgres> {
    this.#postgres ??= chmod(this.#folder, 0o755).then(() =>
      startPostgres({ below: this.#folder, settings: POSTGRES_SETTINGS }),
    );
    return this.#postgres;
  }
}
