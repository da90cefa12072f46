import type { Command } from 'commander';
import { MICROS_PER_SECOND } from '../dataset/dataset.js';
import type { Accounts } from '../storage/accounts.js';
import { addSettings, configFrom } from './settings.js';
import { tableOf } from './terminal.js';

/** `trainyard token create|list|revoke`: on the machine that holds the data, also while it is being served. */
export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('Make, list and revoke the tokens that clients send.');

  const create = token
    .command('create')
    .description('Make a token and print it, for the only time.')
    .option('--account <name>', 'the account it speaks for; made where it is new', 'default')
    .action((options) =>
      withAccounts(options, async (accounts, now) => {
        const { token: secret, id } = await accounts.createToken(options.account, now());
        process.stderr.write(`Token ${id} for the account "${options.account}". It is not shown again:\n`);
        return secret;
      }),
    );

  const list = token
    .command('list')
    .description('List tokens, without their secrets.')
    .option('--account <name>', 'of this account only')
    .action((options) =>
      withAccounts(options, async (accounts) => {
        const rows = (await accounts.tokens(options.account)).map((row) => [
          row.id,
          `${row.hint}…`,
          dateOf(row.createdAt),
          row.revokedAt === null ? 'active' : `revoked ${dateOf(row.revokedAt)}`,
          row.account,
        ]);
        return tableOf([['ID', 'TOKEN', 'CREATED', 'STATE', 'ACCOUNT'], ...rows]);
      }),
    );

  const revoke = token
    .command('revoke')
    .description('Revoke a token, by the id that list shows. It works no more from the next request on.')
    .argument('<id>')
    .action((id: string, options) =>
      withAccounts(options, async (accounts, now) => {
        await accounts.revokeToken(id, now());
        return `Token ${id} is revoked.`;
      }),
    );

  for (const command of [create, list, revoke]) addSettings(command, ['data', 'databaseUrl']);
}

async function withAccounts(
  options: Record<string, string>,
  work: (accounts: Accounts, now: () => number) => Promise<string>,
): Promise<void> {
  // Loaded here, so that no other command waits for the code of a database.
  const { openMetadata } = await import('../storage/metadata.js');
  const metadata = await openMetadata(configFrom(options));
  try {
    process.stdout.write(`${await work(metadata.accounts, metadata.now)}\n`);
  } finally {
    await metadata.close();
  }
}

function dateOf(micros: number): string {
  return new Date((micros / MICROS_PER_SECOND) * 1000).toISOString().slice(0, 19).replace('T', ' ');
}
