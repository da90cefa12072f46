import { resolve } from 'node:path';
import { endpointFile, endpointList } from './caption-endpoints.js';
import { addressList, hostList, httpUrl, oneOf, postgresUrl, wholeNumber } from './setting-values.js';
import { parseS3Url } from './storage/blobs/s3/location.js';

export interface Setting {
  /** In the syntax of commander. */
  readonly flag: string;
  readonly env: string;
  readonly fallback?: string;
  readonly help: string;
  /** The value may contain a password. */
  readonly isSecret?: boolean;
  /** @throws Error whose message completes "SETTING " */
  readonly parse: (text: string) => unknown;
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'];

/** The table in docs/configuration.md must match. */
export const SETTINGS = {
  data: {
    flag: '--data <folder>',
    env: 'TRAINYARD_DATA',
    fallback: './data',
    help: 'folder for the catalog and all files',
    parse: (text: string) => resolve(text),
  },
  databaseUrl: {
    flag: '--database-url <url>',
    env: 'DATABASE_URL',
    help: 'Postgres 14 or later for the catalog, instead of SQLite in the data folder: postgres://user:password@host/database',
    isSecret: true,
    parse: postgresUrl,
  },
  blobsUrl: {
    flag: '--blobs-url <url>',
    env: 'BLOBS_URL',
    help: 'bucket for all files: s3://bucket/prefix?endpoint=…; without it they are in the data folder',
    // It may contain credentials.
    isSecret: true,
    parse: parseS3Url,
  },
  presignAccessKeyId: {
    flag: '--presign-access-key-id <id>',
    env: 'TRAINYARD_PRESIGN_ACCESS_KEY_ID',
    help: 'access key of a user of the bucket that may only write, and signs the links for uploads',
    parse: (text: string) => text,
  },
  presignSecretAccessKey: {
    flag: '--presign-secret-access-key <key>',
    env: 'TRAINYARD_PRESIGN_SECRET_ACCESS_KEY',
    help: 'its secret key; better given in the environment, since other processes can read flags',
    isSecret: true,
    parse: (text: string) => text,
  },
  spool: {
    flag: '--spool <folder>',
    env: 'TRAINYARD_SPOOL',
    help: 'with a bucket, folder for files while they are uploaded; by default tmp in the data folder',
    parse: (text: string) => resolve(text),
  },
  host: {
    flag: '--host <address>',
    env: 'TRAINYARD_HOST',
    fallback: '127.0.0.1',
    help: 'address to listen on; 0.0.0.0 for all',
    parse: (text: string) => text,
  },
  port: {
    flag: '--port <number>',
    env: 'TRAINYARD_PORT',
    fallback: '8787',
    help: 'port to listen on; 0 for any free one',
    parse: wholeNumber({ min: 0, max: 65535 }),
  },
  publicUrl: {
    flag: '--public-url <url>',
    env: 'TRAINYARD_PUBLIC_URL',
    help: 'URL of the service in upload links; without it, the host that each client used',
    parse: httpUrl,
  },
  trustedProxies: {
    flag: '--trusted-proxies <list>',
    env: 'TRAINYARD_TRUSTED_PROXIES',
    help: 'addresses or networks, separated by commas, whose X-Forwarded-* headers are trusted',
    parse: addressList,
  },
  mountRoot: {
    flag: '--mount-root <folder>',
    env: 'TRAINYARD_MOUNT_ROOT',
    help: 'folder in which READY datasets appear for a trainer on this machine',
    parse: (text: string) => resolve(text),
  },
  linkSeconds: {
    flag: '--link-seconds <number>',
    env: 'TRAINYARD_LINK_SECONDS',
    fallback: '3600',
    help: 'how long an upload link is valid',
    parse: wholeNumber({ min: 1, max: 604_800 }),
  },
  captionGraceSeconds: {
    flag: '--caption-grace-seconds <number>',
    env: 'TRAINYARD_CAPTION_GRACE_SECONDS',
    fallback: '15',
    help: 'how long after the last upload a missing caption counts as still being uploaded',
    parse: wholeNumber({ min: 0, max: 86_400 }),
  },
  blobGraceSeconds: {
    flag: '--blob-grace-seconds <number>',
    env: 'TRAINYARD_BLOB_GRACE_SECONDS',
    fallback: '600',
    help: 'how long files that are deleted for good stay on disk for downloads in flight',
    parse: wholeNumber({ min: 0, max: 2_592_000 }),
  },
  historyDays: {
    flag: '--history-days <number>',
    env: 'TRAINYARD_HISTORY_DAYS',
    fallback: '30',
    help: 'how long earlier revisions of a dataset are kept, besides its last 20; 0 keeps the latest and pinned ones alone',
    parse: wholeNumber({ min: 0, max: 36_500 }),
  },
  leaseSeconds: {
    flag: '--lease-seconds <number>',
    env: 'TRAINYARD_LEASE_SECONDS',
    fallback: '120',
    help: 'an upload whose server has sent no heartbeat for this long is ended, or taken over by another server',
    parse: wholeNumber({ min: 1, max: 86_400 }),
  },
  idleSeconds: {
    flag: '--idle-seconds <number>',
    env: 'TRAINYARD_IDLE_SECONDS',
    fallback: '120',
    help: 'an upload through a link that sends no byte for this long is ended, and a download whose client reads none',
    parse: wholeNumber({ min: 1, max: 86_400 }),
  },
  stopSeconds: {
    flag: '--stop-seconds <number>',
    env: 'TRAINYARD_STOP_SECONDS',
    fallback: '25',
    help: 'how long requests in flight may take to finish after SIGTERM',
    parse: wholeNumber({ min: 0, max: 86_400 }),
  },
  inspectionProcesses: {
    flag: '--inspection-processes <number>',
    env: 'TRAINYARD_INSPECTION_PROCESSES',
    help: 'processes that inspect files, each with up to 160 MB of memory; by default one per core, and at least 2',
    parse: wholeNumber({ min: 2, max: 256 }),
  },
  ffmpeg: {
    flag: '--ffmpeg <path>',
    env: 'TRAINYARD_FFMPEG',
    help: 'ffmpeg that decodes every frame of clips; by default the one on the PATH; none: clips are not decoded',
    parse: (text: string) => text,
  },
  accountBytes: {
    flag: '--account-bytes <number>',
    env: 'TRAINYARD_ACCOUNT_BYTES',
    fallback: '10995116277760',
    help: 'bytes of all files of an account',
    parse: wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  },
  maxDatasetFiles: {
    flag: '--max-dataset-files <number>',
    env: 'TRAINYARD_MAX_DATASET_FILES',
    fallback: '20000',
    help: 'files of a dataset',
    parse: wholeNumber({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  },
  captionEndpoint: {
    flag: '--caption-endpoint <list>',
    env: 'TRAINYARD_CAPTION_ENDPOINT',
    help: 'model servers for captions, as NAME=URL or NAME=URL#MODEL, separated by commas',
    parse: endpointList,
  },
  captionEndpoints: {
    flag: '--caption-endpoints <file>',
    env: 'TRAINYARD_CAPTION_ENDPOINTS',
    help: 'JSON file of model servers for captions, with keys and options',
    parse: endpointFile,
  },
  webhookAllow: {
    flag: '--webhook-allow <list>',
    env: 'TRAINYARD_WEBHOOK_ALLOW',
    help: 'hosts and networks, separated by commas, to which webhooks may be sent besides public addresses; over http too',
    parse: hostList,
  },
  auditLog: {
    flag: '--audit-log <file>',
    env: 'TRAINYARD_AUDIT_LOG',
    help: 'file of JSON lines that say who changed what; by default there is none',
    parse: (text: string) => resolve(text),
  },
  logLevel: {
    flag: '--log-level <level>',
    env: 'TRAINYARD_LOG_LEVEL',
    fallback: 'info',
    help: `${LOG_LEVELS.join(', ')}; the log is on standard error`,
    parse: oneOf(LOG_LEVELS),
  },
} as const satisfies Record<string, Setting>;
