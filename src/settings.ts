import { resolve } from 'node:path';
import { endpointFile, endpointList } from './caption-endpoints.js';
import { addressList, hostList, httpUrl, oneOf, postgresUrl, wholeNumber } from './setting-values.js';
import { parseS3Url } from './storage/blobs/s3/location.js';

interface SettingOptions {
  /** By default, the flag in capitals behind `TRAINYARD_`. */
  readonly env?: string;
  readonly fallback?: string;
  /** The value may contain a password. */
  readonly isSecret?: boolean;
  /** @throws Error whose message completes "SETTING " */
  readonly parse: (text: string) => unknown;
}

export interface Setting extends SettingOptions {
  /** In the syntax of commander. */
  readonly flag: string;
  readonly env: string;
  readonly help: string;
}

function setting<const Options extends SettingOptions>(flag: string, help: string, options: Options) {
  const [name = ''] = flag.slice('--'.length).split(' ');
  const env = options.env ?? `TRAINYARD_${name.replaceAll('-', '_').toUpperCase()}`;
  return { ...options, flag, env, help };
}

const absolutePath = (text: string) => resolve(text);

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'];

/** The table in docs/configuration.md must match. */
export const SETTINGS = {
  data: setting('--data <folder>', 'folder for the catalog and all files', { fallback: './data', parse: absolutePath }),
  databaseUrl: setting(
    '--database-url <url>',
    'Postgres 14 or later for the catalog, instead of SQLite in the data folder: postgres://user:password@host/database',
    { env: 'DATABASE_URL', isSecret: true, parse: postgresUrl },
  ),
  // It may contain credentials.
  blobsUrl: setting(
    '--blobs-url <url>',
    'bucket for all files: s3://bucket/prefix?endpoint=…; without it they are in the data folder',
    { env: 'BLOBS_URL', isSecret: true, parse: parseS3Url },
  ),
  presignAccessKeyId: setting(
    '--presign-access-key-id <id>',
    'access key of a user of the bucket that may only write, and signs the links for uploads',
    { parse: String },
  ),
  presignSecretAccessKey: setting(
    '--presign-secret-access-key <key>',
    'its secret key; better given in the environment, since other processes can read flags',
    { isSecret: true, parse: String },
  ),
  spool: setting(
    '--spool <folder>',
    'with a bucket, folder for files while they are uploaded; by default tmp in the data folder',
    { parse: absolutePath },
  ),
  host: setting('--host <address>', 'address to listen on; 0.0.0.0 for all', { fallback: '127.0.0.1', parse: String }),
  port: setting('--port <number>', 'port to listen on; 0 for any free one', {
    fallback: '8787',
    parse: wholeNumber({ min: 0, max: 65535 }),
  }),
  publicUrl: setting(
    '--public-url <url>',
    'URL of the service in upload links; without it, the host that each client used',
    { parse: httpUrl },
  ),
  trustedProxies: setting(
    '--trusted-proxies <list>',
    'addresses or networks, separated by commas, whose X-Forwarded-* headers are trusted',
    { parse: addressList },
  ),
  mountRoot: setting('--mount-root <folder>', 'folder in which READY datasets appear for a trainer on this machine', {
    parse: absolutePath,
  }),
  linkSeconds: setting('--link-seconds <number>', 'how long an upload link is valid', {
    fallback: '3600',
    parse: wholeNumber({ min: 1, max: 604_800 }),
  }),
  captionGraceSeconds: setting(
    '--caption-grace-seconds <number>',
    'how long after the last upload a missing caption counts as still being uploaded',
    { fallback: '15', parse: wholeNumber({ min: 0, max: 86_400 }) },
  ),
  blobGraceSeconds: setting(
    '--blob-grace-seconds <number>',
    'how long files that are deleted for good stay on disk for downloads in flight',
    { fallback: '600', parse: wholeNumber({ min: 0, max: 2_592_000 }) },
  ),
  historyDays: setting(
    '--history-days <number>',
    'how long earlier revisions of a dataset are kept, besides its last 20; 0 keeps the latest and pinned ones alone',
    { fallback: '30', parse: wholeNumber({ min: 0, max: 36_500 }) },
  ),
  leaseSeconds: setting(
    '--lease-seconds <number>',
    'an upload whose server has sent no heartbeat for this long is ended, or taken over by another server',
    { fallback: '120', parse: wholeNumber({ min: 1, max: 86_400 }) },
  ),
  idleSeconds: setting(
    '--idle-seconds <number>',
    'an upload through a link that sends no byte for this long is ended, and a download whose client reads none',
    { fallback: '120', parse: wholeNumber({ min: 1, max: 86_400 }) },
  ),
  stopSeconds: setting('--stop-seconds <number>', 'how long requests in flight may take to finish after SIGTERM', {
    fallback: '25',
    parse: wholeNumber({ min: 0, max: 86_400 }),
  }),
  inspectionProcesses: setting(
    '--inspection-processes <number>',
    'processes that inspect files, each with up to 160 MB of memory; by default one per core, and at least 2',
    { parse: wholeNumber({ min: 2, max: 256 }) },
  ),
  ffmpeg: setting(
    '--ffmpeg <path>',
    'ffmpeg that decodes every frame of clips; by default the one on the PATH; none: clips are not decoded',
    { parse: String },
  ),
  accountBytes: setting('--account-bytes <number>', 'bytes of all files of an account', {
    fallback: '10995116277760',
    parse: wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  }),
  maxDatasetFiles: setting('--max-dataset-files <number>', 'files of a dataset', {
    fallback: '20000',
    parse: wholeNumber({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  }),
  captionEndpoint: setting(
    '--caption-endpoint <list>',
    'model servers for captions, as NAME=URL or NAME=URL#MODEL, separated by commas',
    { parse: endpointList },
  ),
  captionEndpoints: setting(
    '--caption-endpoints <file>',
    'JSON file of model servers for captions, with keys and options',
    { parse: endpointFile },
  ),
  webhookAllow: setting(
    '--webhook-allow <list>',
    'hosts and networks, separated by commas, to which webhooks may be sent besides public addresses; over http too',
    { parse: hostList },
  ),
  auditLog: setting('--audit-log <file>', 'file of JSON lines that say who changed what; by default there is none', {
    parse: absolutePath,
  }),
  logLevel: setting('--log-level <level>', `${LOG_LEVELS.join(', ')}; the log is on standard error`, {
    fallback: 'info',
    parse: oneOf(LOG_LEVELS),
  }),
} satisfies Record<string, Setting>;
