import type { Command } from 'commander';
import { TrainyardClient, TrainyardError } from '../../client/client.js';
import { saveRemote, serviceUrl } from '../remote.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { print, printJson } from '../terminal/print.js';
import { askSecret, canAsk, readInput } from '../terminal/prompts.js';
import { counted } from '../terminal/text.js';

const EXAMPLES = `
Examples:
  $ trainyard login http://127.0.0.1:8787            asks for the token, and shows nothing of it
  $ trainyard login https://data.example < token     reads it from a file
  $ trainyard token create | trainyard login http://127.0.0.1:8787

What is saved is used where neither --url and --token nor TRAINYARD_URL and TRAINYARD_TOKEN say otherwise.`;

/** `trainyard login` */
export function addLoginCommand(program: Command): void {
  program
    .command('login')
    .description('Save the address of a service and your token for it, for all later commands.')
    .argument('<url>', 'the service')
    .option('--token <token>', 'the token; better typed or piped in, since other users can see the flags of a command')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', EXAMPLES)
    .action((url, options) => interruptible((signal) => login(url, options, signal)));
}

async function login(text: string, options: { token?: string; json?: true }, signal: AbortSignal): Promise<void> {
  const url = serviceUrl(text);
  const token = options.token ?? (canAsk() ? await askSecret(`Token for ${url}: `, signal) : await readInput());
  if (token === '') throw new CommandError(EXIT.usage, 'no token was given. "trainyard token create" makes one.');
  const client = new TrainyardClient({ baseUrl: url, token, attempts: 2 });
  const datasets = await client.list({ signal }).catch((error) => {
    if (error instanceof TrainyardError && error.status === 401) {
      throw new CommandError(EXIT.noPermission, `${url} does not know this token. Nothing was saved.`);
    }
    throw error;
  });
  const path = saveRemote({ url, token });
  if (options.json) return printJson({ url, saved_in: path, datasets: datasets.length });
  print(`You are logged in to ${url}, which has ${counted(datasets.length, 'dataset')} of yours.`);
  print(`Address and token are saved in ${path}, for nobody else to read.`);
}
