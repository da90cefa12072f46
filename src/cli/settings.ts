import { type Command, Option } from 'commander';
import { type Config, ConfigError, loadConfig } from '../config.js';
import { SETTINGS, type Setting } from '../settings.js';
import { type FfmpegChoice, ffmpegChoiceOf } from '../service/inspection/clip/ffmpeg.js';
import { missingData } from '../storage/data-folder.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';

type SettingName = keyof typeof SETTINGS;

// The SDK warns that its later versions drop Node 20. package-lock.json pins the version, so the warning is of no use.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

/** Adds the flags of these settings to a command. */
export function addSettings(command: Command, names: readonly SettingName[]): Command {
  for (const name of names) {
    const { flag, env, fallback, help }: Setting = SETTINGS[name];
    const origin = fallback === undefined ? `env: ${env}` : `default: ${fallback}, env: ${env}`;
    command.addOption(new Option(flag, `${help} (${origin})`));
  }
  return command;
}

/** Reads the configuration from flags and the environment. @throws CommandError with 78 that lists every invalid setting */
export function configFrom(options: Record<string, string>): Config {
  try {
    return loadConfig(options, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const faults = error.faults.map((fault) => `  ${fault}`).join('\n');
    throw new CommandError(EXIT.configError, `invalid settings:\n${faults}`, { cause: error });
  }
}

/** @throws CommandError with 66 if the catalog is to be in a folder that has none: only a server makes one */
export function requireCatalog({ databaseUrl, dataFolder }: Config): void {
  const message = databaseUrl === undefined ? missingData(dataFolder) : undefined;
  if (message !== undefined) throw new CommandError(EXIT.noInput, message);
}

/** The ffmpeg of a command that needs no other setting. */
export function ffmpegFrom(options: { ffmpeg?: string }): FfmpegChoice {
  const { PATH, [SETTINGS.ffmpeg.env]: named } = process.env;
  // As in `loadConfig`, an empty variable is an unset one.
  return ffmpegChoiceOf(options.ffmpeg ?? (named || undefined), PATH);
}
