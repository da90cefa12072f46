import { randomUUID } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { onDatabase, type RunningPostgres, startPostgres } from '../test/harness/postgres.js';
import { newPlace, s3Environment } from '../test/harness/s3.js';
import { setup as watchCeph } from '../test/harness/shared-ceph.js';

/** What a server can keep elsewhere than in its folder, as `--backend` names it. */
export const BACKENDS = ['postgres', 's3'] as const;

export type Backend = (typeof BACKENDS)[number];

/** An empty database and an empty place in a bucket, or one of them, or nothing but the folder. */
export interface Place {
  /** `Postgres + S3` */
  readonly name: string;
  /** What a server needs to be told of it. */
  readonly env: Readonly<Record<string, string>>;
  readonly discard: () => Promise<void>;
}

/**
 * Settings for a server whose figures are to mean something: it waits for the disk as one that is relied upon does, and a
 * checkpoint falls into no row by its own clock.
 */
const LASTING = { shared_buffers: '512MB', max_wal_size: '4GB', checkpoint_timeout: '30min' };

/**
 * The real parts behind the servers of a run, each started when it is first needed: a Postgres in the run's folder, or the
 * one that TEST_DATABASE_URL names; and a Ceph, or the store at TEST_S3_ENDPOINT.
 */
export class Backends {
  readonly #folder: string;
  #postgres: Promise<RunningPostgres> | undefined;
  #leaveCeph: (() => void) | undefined;

  /** @param folder is opened to other users, since Postgres does not run as root */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async newPlace(...backends: readonly Backend[]): Promise<Place> {
    const isThere = (backend: Backend) => backends.includes(backend);
    const database = isThere('postgres') ? await this.#newDatabase() : undefined;
    const bucket = isThere('s3') ? await this.#newBucket() : undefined;
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
    const place = newPlace();
    return { env: { ...env, BLOBS_URL: place.url() }, discard: place.empty };
  }

  #running(): Promise<RunningPostgres> {
    this.#postgres ??= chmod(this.#folder, 0o755).then(() => startPostgres({ below: this.#folder, settings: LASTING }));
    return this.#postgres;
  }
}
