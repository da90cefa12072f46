import { type Command, Option } from 'commander';
import { type Config, ConfigError, loadConfig, SETTINGS } from '../config.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';

type SettingName = keyof typeof SETTINGS;

// Which version of the SDK there is, package-lock.json decides; that later ones leave Node 20 behind is nothing to warn of.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

/** Gives a command the flags of these settings. */
export function addSettings(command: Command, names: readonly SettingName[]): Command {
  for (const name of names) {
    const { flag, env, fallback, help } = SETTINGS[name];
    const origin = fallback === undefined ? `env: ${env}` : `default: ${fallback}, env: ${env}`;
    command.addOption(new Option(flag, `${help} (${origin})`));
  }
  return command;
}

/** The configuration that flags and environment give. @throws CommandError with 78 that names all faults in it */
export function configFrom(options: Record<string, string>): Config {
  try {
    return loadConfig(options, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const faults = error.faults.map((fault) => `  ${fault}`).join('\n');
    throw new CommandError(EXIT.configError, `the settings can't be used:\n${faults}`, { cause: error });
  }
}
