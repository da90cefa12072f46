import { type Command, Option } from 'commander';
import { type Config, ConfigError, loadConfig } from '../config.js';
import { SETTINGS, type Setting } from '../settings.js';
import { type FfmpegChoice, ffmpegChoiceOf } from '../service/inspection/clip/ffmpeg.js';
import type { OpenCatalog } from '../storage/catalog/open-catalog.js';
import { missingData } from '../storage/data-folder.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';
import { type Output, printOutput } from './terminal/print.js';

type SettingName = keyof typeof SETTINGS;

// The SDK warns that its later versions drop Node 20. package-lock.json pins the version, so the warning is of no use.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

export function addSettings(command: Command, names: readonly SettingName[]): Command {
  for (const name of names) {
    const { flag, env, fallback, help }: Setting = SETTINGS[name];
    const origin = fallback === undefined ? `env: ${env}` : `default: ${fallback}, env: ${env}`;
    const option = new Option(flag, `${help} (${origin})`);
    // A list may be given in parts.
    const joined = (value: string, before?: string) => (before === undefined ? value : `${before},${value}`);
    command.addOption(name === 'captionEndpoint' ? option.argParser(joined) : option);
  }
  return command;
}

/** @throws CommandError with 78 that lists every invalid setting */
export function configFrom(options: Record<string, string>): Config {
  try {
    return loadConfig(options, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const faults = error.faults.map((fault) => `  ${fault}`).join('\n');
    throw new CommandError(EXIT.configError, `invalid settings:\n${faults}`, { cause: error });
  }
}

/** Completes a command that opens an installation on this machine, with its options and help. */
export function onInstallation<Options, Args extends unknown[]>(
  command: Command,
  { settings, help }: { settings: readonly SettingName[]; help: string },
  run: (config: Config, options: Options & { json?: true }, ...args: Args) => Promise<Output>,
): Command {
  addSettings(command.option('--json', 'print JSON for scripts'), settings);
  return command.addHelpText('after', help).action(async (...given: unknown[]) => {
    const options = command.opts();
    const args = given.slice(0, -2) as Args;
    const output = await run(configFrom(options), options as Options & { json?: true }, ...args);
    printOutput(output, options.json === true);
  });
}

/** @throws CommandError with 66 if there is no catalog */
export async function withCatalog<T>(config: Config, work: (catalog: OpenCatalog) => Promise<T>): Promise<T> {
  requireCatalog(config);
  // Imported late, so that other commands start without loading the database code.
  const { openCatalog } = await import('../storage/catalog/open-catalog.js');
  const catalog = await openCatalog(config);
  return work(catalog).finally(catalog.close);
}

/** @throws CommandError with 66: only a server makes a catalog */
export function requireCatalog({ databaseUrl, dataFolder }: Config): void {
  const message = databaseUrl === undefined ? missingData(dataFolder) : undefined;
  if (message !== undefined) throw new CommandError(EXIT.noInput, message);
}

export function ffmpegFrom(options: { ffmpeg?: string }): FfmpegChoice {
  const { PATH, [SETTINGS.ffmpeg.env]: named } = process.env;
  // As in `loadConfig`, an empty variable is an unset one.
  return ffmpegChoiceOf(options.ffmpeg ?? (named || undefined), PATH);
}
