import type { Command } from 'commander';
import { TrainyardError } from '../../client/client.js';
import { clientOf, requireSendableToken, serviceUrl } from '../remote.js';
import { saveRemote } from '../saved-login.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { printOutput } from '../terminal/print.js';
import { counted } from '../terminal/text.js';
import { askSecret, canAsk, readInput } from '../terminal/prompts.js';

const EXAMPLES = `
Examples:
  $ trainyard login http://127.0.0.1:8787            asks for the token, and does not show it
  $ trainyard login https://data.example < token     reads it from a file
  $ trainyard token create | trainyard login http://127.0.0.1:8787

--url and --token, or else TRAINYARD_URL and TRAINYARD_TOKEN, override what is saved.`;

/** `trainyard login` */
export function addLoginCommand(program: Command): void {
  program
    .command('login')
    .description('Save the URL of a service and your token for all later commands.')
    .argument('<url>', 'the service')
    .option('--token <token>', 'the token; typing or piping it is safer, since other users can see flags')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', EXAMPLES)
    .action((url, options) => interruptible((signal) => login(url, options, signal)));
}

const NO_TOKEN_GIVEN = `no token given. Type it on a terminal, pipe it to this command, or add --token TOKEN.
To create one, log in to the machine of the service, and run: trainyard token create (in a clone: npx trainyard token create)`;

async function login(text: string, options: { token?: string; json?: true }, signal: AbortSignal): Promise<void> {
  const url = serviceUrl(text);
  const token = options.token ?? (canAsk() ? await askSecret(`Token for ${url}: `, signal) : await readInput(signal));
  if (token === '') throw new CommandError(EXIT.usage, NO_TOKEN_GIVEN);
  requireSendableToken(token, { exitCode: EXIT.usage, origin: 'the token' });
  const datasets = await clientOf({ url, token }, { attempts: 2 })
    .list({ signal })
    .catch((error) => {
      if (error instanceof TrainyardError && error.status === 401) {
        throw new CommandError(EXIT.noPermission, `${url} rejects this token. Nothing was saved.`);
      }
      throw error;
    });
  const path = await saveRemote({ url, token });
  const lines = [
    `You are logged in to ${url}, and have ${counted(datasets.length, 'dataset')} there.`,
    `The URL and the token are saved in ${path}, which only you can read.`,
  ];
  printOutput({ document: { url, saved_in: path, datasets: datasets.length }, lines }, options.json === true);
}
