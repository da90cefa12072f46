import type { Command } from 'commander';
import { timeOf } from '../../server/to-wire.js';
import type { Accounts } from '../../storage/catalog/accounts.js';
import { addSettings, configFrom } from '../settings.js';
import { print, printJson } from '../terminal/print.js';
import { tableOf } from '../terminal/text.js';

/** The output of a command, for a person and for `--json`. */
interface Output {
  readonly text: string;
  readonly document: Record<string, unknown>;
}

/** `trainyard token create|list|revoke`, on the machine with the data; the server may be running. */
export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('Create, list and revoke access tokens.');

  const create = token
    .command('create')
    .description('Create a token and print it. It is not shown again.')
    .option('--account <name>', 'the account of the token; created if it is new', 'default')
    .action((options) =>
      withAccounts(options, async (accounts, now) => {
        const { token: secret, id } = await accounts.createToken(options.account, now());
        if (!options.json) {
          process.stderr.write(`Created token ${id} for the account "${options.account}". It is not shown again:\n`);
        }
        return { text: secret, document: { id, account: options.account, token: secret } };
      }),
    );

  const list = token
    .command('list')
    .description('List tokens, without their secrets.')
    .option('--account <name>', 'only tokens of this account')
    .action((options) =>
      withAccounts(options, async (accounts) => {
        const tokens = await accounts.tokens(options.account);
        const rows = tokens.map(({ id, hint, createdAt, revokedAt, account }) => [
          id,
          `${hint}…`,
          dateOf(createdAt),
          revokedAt === null ? 'active' : `revoked ${dateOf(revokedAt)}`,
          account,
        ]);
        return {
          text: tableOf([['ID', 'TOKEN', 'CREATED', 'STATE', 'ACCOUNT'], ...rows]).join('\n'),
          document: {
            tokens: tokens.map(({ id, hint, createdAt, revokedAt, account }) => ({
              id,
              hint,
              created_at: timeOf(createdAt),
              ...(revokedAt !== null && { revoked_at: timeOf(revokedAt) }),
              account,
            })),
          },
        };
      }),
    );

  const revoke = token
    .command('revoke')
    .description('Revoke a token by its ID. It stops working with the next request.')
    .argument('<id>', 'as "trainyard token list" shows it')
    .action((id: string, options) =>
      withAccounts(options, async (accounts, now) => {
        await accounts.revokeToken(id, now());
        return { text: `Revoked token ${id}.`, document: { id, revoked: true } };
      }),
    );

  const examples = [
    [create, ['token create --account studio', 'token create | trainyard login http://127.0.0.1:8787']],
    [list, ['token list', "token list --json | jq -r '.tokens[].id'"]],
    [revoke, ['token revoke 3f9a1c']],
  ] as const;
  for (const [command, lines] of examples) {
    addSettings(command.option('--json', 'print JSON for scripts'), ['data', 'databaseUrl']);
    command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ trainyard ${line}`).join('\n')}`);
  }
}

async function withAccounts(
  { json, ...options }: Record<string, string> & { json?: true },
  work: (accounts: Accounts, now: () => number) => Promise<Output>,
): Promise<void> {
  // Imported late, so that other commands start without loading the database code.
  const { openCatalog } = await import('../../storage/catalog/open-catalog.js');
  const catalog = await openCatalog(configFrom(options));
  try {
    const { text, document } = await work(catalog.accounts, catalog.now);
    if (json) printJson(document);
    else print(text);
  } finally {
    await catalog.close();
  }
}

function dateOf(micros: number): string {
  return timeOf(micros).slice(0, 19).replace('T', ' ');
}
