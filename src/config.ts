import { resolve } from 'node:path';
import { MAX_DIRECT_BYTES } from './api/limits.js';
import { MICROS_PER_SECOND } from './dataset/dataset.js';
import type { BodyTimeouts } from './server/bodies.js';
import type { ServiceRules } from './service/dependencies.js';
import { type FfmpegChoice, ffmpegChoiceOf } from './service/inspection/clip/ffmpeg.js';
import { addressList, httpUrl, oneOf, postgresUrl, wholeNumber } from './setting-values.js';
import { parseS3Url } from './storage/blobs/s3/location.js';
import { dataFolderPaths } from './storage/data-folder.js';
import type { BlobsLocation } from './storage/open-blobs.js';

/** The settings of a serving process. */
export interface Config {
  /** The folder of the catalog and all files; absolute. */
  readonly dataFolder: string;
  /** The URL of the Postgres catalog, with its password; without it the catalog is in the data folder. */
  readonly databaseUrl: string | undefined;
  readonly blobs: BlobsLocation;
  /** Temporary files while they are sent to or read from a bucket; absolute. */
  readonly spoolFolder: string;
  /** The maximum size of the spool folder. */
  readonly spoolBytes: number;
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string | undefined;
  readonly trustedProxies: readonly string[];
  readonly rules: ServiceRules;
  /** The folder in which READY datasets are mounted automatically; absolute. */
  readonly mountRoot: string | undefined;
  /** How long the bytes of a deleted or replaced file stay for downloads in flight, in microseconds. */
  readonly blobGrace: number;
  readonly timeouts: BodyTimeouts;
  /** How long requests in flight may take to finish after SIGTERM. */
  readonly stopSeconds: number;
  /** Processes that inspect files; by default one per core. */
  readonly inspectionProcesses: number | undefined;
  readonly ffmpeg: FfmpegChoice;
  readonly logLevel: string;
}

/** All errors in the configuration, one line each. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

export interface Setting {
  /** In the syntax of commander. */
  readonly flag: string;
  readonly env: string;
  /** The default. */
  readonly fallback?: string;
  readonly help: string;
  /** The value may contain a password and must not be shown. */
  readonly isSecret?: boolean;
  /** @throws Error whose message completes "SETTING " */
  readonly parse: (text: string) => unknown;
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'];

/** All settings with their flag, variable, default and help text. The table in docs/configuration.md must match. */
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
    help: 'Postgres 15 or later for the catalog, instead of SQLite in the data folder: postgres://user:password@host/database',
    isSecret: true,
    parse: postgresUrl,
  },
  blobsUrl: {
    flag: '--blobs-url <url>',
    env: 'BLOBS_URL',
    help: 'bucket for all files: s3://bucket/prefix?endpoint=…; without it they are in the data folder',
    // It should contain no credentials, but it may.
    isSecret: true,
    parse: parseS3Url,
  },
  spool: {
    flag: '--spool <folder>',
    env: 'TRAINYARD_SPOOL',
    help: 'with a bucket, folder for files while they are uploaded; by default tmp in the data folder',
    parse: (text: string) => resolve(text),
  },
  spoolBytes: {
    flag: '--spool-bytes <number>',
    env: 'TRAINYARD_SPOOL_BYTES',
    fallback: '8589934592',
    help: 'maximum size of the spool; larger files bypass it',
    parse: wholeNumber({ min: MAX_DIRECT_BYTES, max: Number.MAX_SAFE_INTEGER }),
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
  maxFileBytes: {
    flag: '--max-file-bytes <number>',
    env: 'TRAINYARD_MAX_FILE_BYTES',
    fallback: '107374182400',
    help: 'largest file that gets an upload link',
    parse: wholeNumber({ min: 1, max: Number.MAX_SAFE_INTEGER }),
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
    help: 'how long deleted and replaced files stay on disk for downloads in flight',
    parse: wholeNumber({ min: 0, max: 2_592_000 }),
  },
  leaseSeconds: {
    flag: '--lease-seconds <number>',
    env: 'TRAINYARD_LEASE_SECONDS',
    fallback: '120',
    help: 'an upload whose server has sent no heartbeat for this long is ended, or taken over by another server',
    parse: wholeNumber({ min: 1, max: 86_400 }),
  },
  inlineDecodeSeconds: {
    flag: '--inline-decode-seconds <number>',
    env: 'TRAINYARD_INLINE_DECODE_SECONDS',
    fallback: '20',
    help: 'a clip whose decode is expected to take longer is answered first and decoded afterwards',
    parse: wholeNumber({ min: 0, max: 86_400 }),
  },
  idleSeconds: {
    flag: '--idle-seconds <number>',
    env: 'TRAINYARD_IDLE_SECONDS',
    fallback: '120',
    help: 'an upload through a link that sends no byte for this long is ended',
    parse: wholeNumber({ min: 1, max: 86_400 }),
  },
  directSeconds: {
    flag: '--direct-seconds <number>',
    env: 'TRAINYARD_DIRECT_SECONDS',
    fallback: '115',
    help: 'longest time from the start of a direct upload to its response',
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
  logLevel: {
    flag: '--log-level <level>',
    env: 'TRAINYARD_LOG_LEVEL',
    fallback: 'info',
    help: `${LOG_LEVELS.join(', ')}; the log is JSON lines on standard error`,
    parse: oneOf(LOG_LEVELS),
  },
} as const satisfies Record<string, Setting>;

type SettingName = keyof typeof SETTINGS;
/** The parsed value of each setting; `undefined` only where the setting has no default. */
type Values = {
  [Name in SettingName]:
    | ReturnType<(typeof SETTINGS)[Name]['parse']>
    | ((typeof SETTINGS)[Name] extends { fallback: string } ? never : undefined);
};

/**
 * Reads the configuration from flags and the environment. A flag overrides a variable.
 *
 * @throws ConfigError with all errors found
 */
export function loadConfig(
  flags: Partial<Record<SettingName, string>>,
  environment: Record<string, string | undefined>,
): Config {
  const faults: string[] = [];
  const parsed = (name: SettingName): unknown => {
    const { flag, env, fallback, isSecret, parse }: Setting = SETTINGS[name];
    // A compose file passes an unset variable as an empty one.
    const text = flags[name] ?? (environment[env] || undefined) ?? fallback;
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (error) {
      const source = flags[name] === undefined ? env : flag.split(' ')[0];
      const shown = isSecret ? '' : ` (it is ${JSON.stringify(text)})`;
      faults.push(`${source} ${error instanceof Error ? error.message : error}${shown}`);
      return undefined;
    }
  };
  const names = Object.keys(SETTINGS) as SettingName[];
  const values = Object.fromEntries(names.map((name) => [name, parsed(name)])) as Values;
  if (faults.length > 0) throw new ConfigError(faults);
  return configOf(values, environment);
}

function configOf(values: Values, environment: Record<string, string | undefined>): Config {
  return {
    dataFolder: values.data,
    databaseUrl: values.databaseUrl,
    blobs: values.blobsUrl ?? { kind: 'disk' },
    spoolFolder: values.spool ?? dataFolderPaths(values.data).spool,
    spoolBytes: values.spoolBytes,
    host: values.host,
    port: values.port,
    publicUrl: values.publicUrl,
    trustedProxies: values.trustedProxies ?? [],
    rules: {
      captionGrace: values.captionGraceSeconds * MICROS_PER_SECOND,
      linkLifetime: values.linkSeconds * MICROS_PER_SECOND,
      maxLinkBytes: values.maxFileBytes,
      leaseDuration: values.leaseSeconds * MICROS_PER_SECOND,
      maxInlineDecodeSeconds: values.inlineDecodeSeconds,
    },
    mountRoot: values.mountRoot,
    blobGrace: values.blobGraceSeconds * MICROS_PER_SECOND,
    timeouts: { directSeconds: values.directSeconds, idleSeconds: values.idleSeconds },
    stopSeconds: values.stopSeconds,
    inspectionProcesses: values.inspectionProcesses,
    ffmpeg: ffmpegChoiceOf(values.ffmpeg, environment.PATH),
    logLevel: values.logLevel,
  };
}
