import { type CaptionEndpoint, captionEndpointOf } from './caption-endpoints.js';
import { MICROS_PER_SECOND } from './dataset/dataset.js';
import { ffmpegChoiceOf } from './service/inspection/clip/ffmpeg.js';
import { SETTINGS, type Setting } from './settings.js';
import { dataFolderPaths } from './storage/data-folder.js';

const SECONDS_PER_DAY = 86_400;

/** For upload links. */
const MAX_LINK_BYTES = 100 * 1024 ** 3;

/** An account of a person has fewer. Its bytes are a setting. */
const MAX_ACCOUNT_DATASETS = 100_000;
const MAX_ACCOUNT_FILES = 10_000_000;

/** Processor time. Slower inspections and decodes continue after the answer. */
const MAX_INLINE_SECONDS = 4;

export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

type SettingName = keyof typeof SETTINGS;
/** `undefined` only where the setting has no default. */
type Values = {
  [Name in SettingName]:
    | ReturnType<(typeof SETTINGS)[Name]['parse']>
    | ((typeof SETTINGS)[Name] extends { fallback: string } ? never : undefined);
};

/** A flag overrides a variable. @throws ConfigError with all errors found */
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
  const endpoints = [...(values.captionEndpoint ?? []), ...(values.captionEndpoints ?? [])];
  const captionEndpoints = endpoints.flatMap((endpoint, i) => {
    try {
      if (endpoints.findIndex(({ name }) => name === endpoint.name) < i) throw new Error('has a name that another has');
      return captionEndpointOf(endpoint, environment);
    } catch (error) {
      faults.push(`the caption endpoint ${endpoint.name} ${error instanceof Error ? error.message : error}`);
      return [];
    }
  });
  if (faults.length > 0) throw new ConfigError(faults);
  return { ...configOf(values, environment), captionEndpoints };
}

/** Folders are absolute; durations without a unit in their name are in microseconds. */
export type Config = ReturnType<typeof configOf> & { readonly captionEndpoints: readonly CaptionEndpoint[] };

function configOf(values: Values, environment: Record<string, string | undefined>) {
  const { presignAccessKeyId: accessKeyId, presignSecretAccessKey: secretAccessKey, maxDatasetFiles } = values;
  const { databaseUrl, host, port, publicUrl, mountRoot, auditLog, logLevel } = values;
  const { idleSeconds, stopSeconds, inspectionProcesses } = values;
  return {
    ...{ databaseUrl, host, port, publicUrl, mountRoot, auditLog, logLevel },
    ...{ idleSeconds, stopSeconds, inspectionProcesses },
    dataFolder: values.data,
    blobs: values.blobsUrl ?? { kind: 'disk' as const },
    linkCredentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined,
    spoolFolder: values.spool ?? dataFolderPaths(values.data).spool,
    trustedProxies: values.trustedProxies ?? [],
    webhookAllow: values.webhookAllow ?? [],
    rules: {
      captionGrace: values.captionGraceSeconds * MICROS_PER_SECOND,
      linkLifetime: values.linkSeconds * MICROS_PER_SECOND,
      maxLinkBytes: MAX_LINK_BYTES,
      leaseDuration: values.leaseSeconds * MICROS_PER_SECOND,
      maxInlineSeconds: MAX_INLINE_SECONDS,
    },
    limits: {
      ...{ bytes: values.accountBytes, files: MAX_ACCOUNT_FILES, datasets: MAX_ACCOUNT_DATASETS },
      datasetFiles: maxDatasetFiles,
    },
    blobGrace: values.blobGraceSeconds * MICROS_PER_SECOND,
    historyLifetime: values.historyDays * SECONDS_PER_DAY * MICROS_PER_SECOND,
    ffmpeg: ffmpegChoiceOf(values.ffmpeg, environment.PATH),
  };
}
