import { MICROS_PER_SECOND, type Micros } from './dataset/dataset.js';
import type { ServiceRules } from './service/dependencies.js';
import { type FfmpegChoice, ffmpegChoiceOf } from './service/inspection/clip/ffmpeg.js';
import type { Limits } from './service/limits/limits.js';
import { SETTINGS, type Setting } from './settings.js';
import { MAX_ACCOUNT_DATASETS, MAX_ACCOUNT_FILES } from './storage/catalog/accounts/account-usage.js';
import { dataFolderPaths } from './storage/data-folder.js';
import type { BlobsLocation } from './storage/open-blobs.js';

const SECONDS_PER_DAY = 86_400;

/** Processor time. A file whose inspection or decode takes longer is answered first and inspected afterwards. */
const MAX_INLINE_SECONDS = 4;

/** The settings of a serving process. */
export interface Config {
  /** The folder of the catalog and all files; absolute. */
  readonly dataFolder: string;
  /** The URL of the Postgres catalog, with its password; without it the catalog is in the data folder. */
  readonly databaseUrl: string | undefined;
  readonly blobs: BlobsLocation;
  /** The user of the bucket that signs presigned links; by default that of the service. */
  readonly linkCredentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  /** Temporary files while they are sent to or read from a bucket; absolute. */
  readonly spoolFolder: string;
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string | undefined;
  readonly trustedProxies: readonly string[];
  readonly rules: ServiceRules;
  readonly limits: Limits;
  /** The path of the audit log; `undefined` for none. */
  readonly auditLog: string | undefined;
  /** Hosts and networks to which webhooks may be sent, besides public addresses. */
  readonly webhookAllow: readonly string[];
  /** The folder in which READY datasets are mounted automatically; absolute. */
  readonly mountRoot: string | undefined;
  /** How long the bytes of a file that no revision has any more stay for downloads in flight, in microseconds. */
  readonly blobGrace: number;
  /** How long earlier revisions are kept. */
  readonly historyLifetime: Micros;
  /** The longest time without a new byte of an upload, or without a byte of a response that the client takes. */
  readonly idleSeconds: number;
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
  if ((values.presignAccessKeyId === undefined) !== (values.presignSecretAccessKey === undefined)) {
    const { presignAccessKeyId: id, presignSecretAccessKey: secret } = SETTINGS;
    faults.push(`${id.env} and ${secret.env} must be set together`);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return configOf(values, environment);
}

function configOf(values: Values, environment: Record<string, string | undefined>): Config {
  const { presignAccessKeyId: accessKeyId, presignSecretAccessKey: secretAccessKey } = values;
  return {
    dataFolder: values.data,
    databaseUrl: values.databaseUrl,
    blobs: values.blobsUrl ?? { kind: 'disk' },
    linkCredentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined,
    spoolFolder: values.spool ?? dataFolderPaths(values.data).spool,
    host: values.host,
    port: values.port,
    publicUrl: values.publicUrl,
    trustedProxies: values.trustedProxies ?? [],
    rules: {
      captionGrace: values.captionGraceSeconds * MICROS_PER_SECOND,
      linkLifetime: values.linkSeconds * MICROS_PER_SECOND,
      maxLinkBytes: values.maxFileBytes,
      leaseDuration: values.leaseSeconds * MICROS_PER_SECOND,
      maxInlineSeconds: MAX_INLINE_SECONDS,
    },
    limits: {
      account: { bytes: values.accountBytes, files: MAX_ACCOUNT_FILES, datasets: MAX_ACCOUNT_DATASETS },
      maxDatasetFiles: values.maxDatasetFiles,
      accountRequestsPerSecond: values.accountRequestsPerSecond,
    },
    auditLog: values.auditLog,
    webhookAllow: values.webhookAllow ?? [],
    mountRoot: values.mountRoot,
    blobGrace: values.blobGraceSeconds * MICROS_PER_SECOND,
    historyLifetime: values.historyDays * SECONDS_PER_DAY * MICROS_PER_SECOND,
    idleSeconds: values.idleSeconds,
    stopSeconds: values.stopSeconds,
    inspectionProcesses: values.inspectionProcesses,
    ffmpeg: ffmpegChoiceOf(values.ffmpeg, environment.PATH),
    logLevel: values.logLevel,
  };
}
