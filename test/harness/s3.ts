import { execFile, execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetBucketPolicyCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { beforeAll, onTestFinished } from 'vitest';

const CEPH = fileURLToPath(new URL('./ceph.sh', import.meta.url));

/** The variable with the path of the file that marks a Ceph as started by this run. */
export const CEPH_MARK = 'TRAINYARD_TEST_CEPH_MARK';

/** Time for a first start, packages included. */
const START_MS = 300_000;

/** All tests share a bucket; each uses a prefix of its own. */
const BUCKET = process.env.TEST_S3_BUCKET ?? 'trainyard-test';

/** The variables that `test/harness/ceph.sh env` prints. */
type Environment = Record<string, string>;

let environment: Promise<Environment> | undefined;

/**
 * Sets endpoint and keys of a running store with a bucket for tests in the environment of this process: the store that the
 * environment names, or a Ceph that is started for the run.
 */
export function s3Environment(): Promise<Environment> {
  environment ??= (async () => {
    const found = process.env.TEST_S3_ENDPOINT === undefined ? await sharedCeph() : ownVariables();
    Object.assign(process.env, found);
    const client = newClient();
    await client.send(new CreateBucketCommand({ Bucket: BUCKET })).catch((error) => {
      if (!/^BucketAlready/.test(error.name)) throw error;
    });
    if (process.env.TEST_S3_CEPH_HOME !== undefined) await setPolicy(client);
    client.destroy();
    return found;
  })();
  return environment;
}

/** The policy of `docs/scaling.md`, with the names of users, a bucket and a prefix in it. */
export function documentedPolicy(names: { SERVICE: string; LINKS: string; BUCKET: string; PREFIX: string }): string {
  const text = readFileSync(new URL('../../docs/scaling.md', import.meta.url), 'utf8');
  const block = /```json\n(\{\n {2}"Version"[\s\S]*?)```/.exec(text)?.[1];
  if (block === undefined) throw new Error('docs/scaling.md has no policy.');
  return Object.entries(names).reduce((policy, [name, value]) => policy.replaceAll(name, value), block);
}

/** Lets the signing user write to the bucket of the tests, and the tests read what it has written. */
async function setPolicy(client: S3Client): Promise<void> {
  const Policy = documentedPolicy({ SERVICE: 'trainyard', LINKS: 'trainyard-links', BUCKET, PREFIX: 't/*' });
  for (let attempt = 1; ; attempt++) {
    const current = await client.send(new GetBucketPolicyCommand({ Bucket: BUCKET })).catch(() => undefined);
    if (current?.Policy === Policy) return;
    // Other test files set it too; one of several changes at once fails.
    const set = client.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
    await set.catch((error) => {
      if (attempt === 10) throw error;
    });
  }
}

/** The credentials that the service signs links with, as it reads them from the environment. */
export function linkCredentials(): { accessKeyId: string; secretAccessKey: string } | undefined {
  const { TRAINYARD_PRESIGN_ACCESS_KEY_ID: accessKeyId, TRAINYARD_PRESIGN_SECRET_ACCESS_KEY: secretAccessKey } =
    process.env;
  return accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined;
}

function ownVariables(): Environment {
  const names = Object.keys(process.env).filter((name) => /^(AWS|TEST_S3|TRAINYARD_PRESIGN)_/.test(name));
  return Object.fromEntries(names.map((name) => [name, process.env[name] ?? '']));
}

/** Starts Ceph unless it runs, and marks it for the end of the run. */
async function sharedCeph(): Promise<Environment> {
  const ranBefore = isCephRunning();
  const found = await startCeph();
  const mark = process.env[CEPH_MARK];
  if (!ranBefore && mark !== undefined) writeFileSync(mark, '');
  return found;
}

async function startCeph(): Promise<Environment> {
  const { stdout } = await promisify(execFile)(CEPH, ['start'], { timeout: START_MS });
  return Object.fromEntries([...stdout.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]));
}

/** Whether a local Ceph answers. */
export function isCephRunning(): boolean {
  try {
    execFileSync(CEPH, ['env'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Stops Ceph, or its gateway alone. */
export function stopCeph(...daemon: 'rgw'[]): void {
  execFileSync(CEPH, ['stop', ...daemon], { stdio: 'ignore' });
}

/** Called before the first test of a file that needs S3. */
export function needsS3(): void {
  beforeAll(async () => {
    await s3Environment();
  }, START_MS);
}

export function newClient(): S3Client {
  return new S3Client({
    endpoint: process.env.TEST_S3_ENDPOINT!,
    forcePathStyle: true,
    region: process.env.AWS_REGION ?? 'us-east-1',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** The keys of a store below `prefix`. @param blobsUrl as `TestBucket.url` makes it */
export async function keysBelow(blobsUrl: string, prefix: string): Promise<string[]> {
  const { hostname: Bucket, pathname } = new URL(blobsUrl);
  const root = decodeURIComponent(pathname).replace(/^\/|\/$/g, '');
  const client = newClient();
  const found = await keysIn(client, { Bucket, Prefix: `${root}/${prefix}` });
  client.destroy();
  return found.map((key) => key.slice(root.length + 1));
}

async function keysIn(client: S3Client, where: { Bucket: string; Prefix: string }): Promise<string[]> {
  const found: string[] = [];
  for (let ContinuationToken: string | undefined; ; ) {
    const page = await client.send(
      new ListObjectsV2Command({ ...where, ...(ContinuationToken !== undefined && { ContinuationToken }) }),
    );
    found.push(...(page.Contents ?? []).map(({ Key = '' }) => Key));
    if (!page.IsTruncated) return found;
    ContinuationToken = page.NextContinuationToken;
  }
}

/** An unused prefix of the bucket. */
export interface TestBucket {
  readonly bucket: string;
  readonly prefix: string;
  /** As `BLOBS_URL` has it, for a store in it or further below; `parameters` are added. */
  readonly url: (parameters?: Record<string, string>, below?: string) => string;
  readonly client: S3Client;
  /** The objects below the prefix, without it. */
  readonly keys: () => Promise<string[]>;
  /** The object that a key of a store under this prefix stands for. */
  readonly target: (key: string) => { Bucket: string; Key: string };
  readonly empty: () => Promise<void>;
}

/** A prefix whose objects are deleted with the test. */
export function newBucket(): TestBucket {
  const place = newPlace();
  onTestFinished(place.empty);
  return place;
}

/** A prefix whose objects the caller deletes. */
export function newPlace(): TestBucket {
  const prefix = `t/${randomUUID()}`;
  const client = newClient();
  const ofPrefix = { Bucket: BUCKET, Prefix: `${prefix}/` };
  const keys = async () => (await keysIn(client, ofPrefix)).map((key) => key.slice(prefix.length + 1)).sort();
  const empty = async () => {
    const Objects = (await keys()).map((key) => ({ Key: `${prefix}/${key}` }));
    while (Objects.length > 0) {
      await client.send(new DeleteObjectsCommand({ Bucket: BUCKET, Delete: { Objects: Objects.splice(0, 1000) } }));
    }
    client.destroy();
  };
  return {
    bucket: BUCKET,
    prefix,
    url: (parameters = {}, below = '') => {
      const query = new URLSearchParams({ endpoint: process.env.TEST_S3_ENDPOINT!, ...parameters });
      return `s3://${BUCKET}/${prefix}/${encodeURIComponent(below)}?${query}`;
    },
    client,
    keys,
    target: (key) => ({ Bucket: BUCKET, Key: `${prefix}/${key}` }),
    empty,
  };
}
