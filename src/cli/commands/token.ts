import type { Command } from 'commander';
import { MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { timeOf } from '../../server/to-wire.js';
import { appendAuditEntry } from '../../service/audit/audit-log.js';
import type { Accounts } from '../../storage/catalog/accounts/accounts.js';
import type { TokenSummary } from '../../storage/catalog/accounts/grant.js';
import { secondsIn } from '../duration.js';
import { addSettings, configFrom, requireCatalog } from '../settings.js';
import { print, printJson } from '../terminal/print.js';
import { counted, tableOf } from '../terminal/text.js';

/** The output of a command, for a person and for `--json`. */
interface Output {
  readonly text: string;
  readonly document: Record<string, unknown>;
  /** What the command changed, for the audit log. */
  readonly changed?: { readonly action: string; readonly [field: string]: unknown };
}

/** `trainyard token create|list|revoke`, on the machine with the data; the server may be running. */
export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('Create, list and revoke access tokens.');

  const create = token
    .command('create')
    .description('Create a token and print it. It is not shown again.')
    .option('--account <name>', 'the account of the token; created if it is new', 'default')
    .option('--name <name>', 'who or what uses the token, for the history of datasets: laptop')
    .option('--expires <duration>', 'when the token ends: 30d, 12h, 90m; by default it does not', expiryOf)
    .option('--read-only', 'the token lists, downloads and mounts, and changes nothing')
    .option('--dataset <name>', 'a dataset that the token is bound to; repeatable', collect)
    .action(({ expires, readOnly, dataset, name, ...options }) =>
      withAccounts(options, async (accounts, now) => {
        const expiresAt = expires === undefined ? null : now() + expires;
        const rights = { expiresAt, isReadOnly: readOnly === true, datasets: dataset, name };
        const { token: secret, id } = await accounts.createToken(options.account, now(), rights);
        if (!options.json) {
          process.stderr.write(`Created token ${id} for the account "${options.account}". It is not shown again:\n`);
        }
        const given = {
          account: options.account,
          ...(name !== undefined && { name }),
          ...(rights.isReadOnly && { read_only: true }),
          ...(dataset !== undefined && { datasets: dataset }),
          ...(expiresAt !== null && { expires_at: timeOf(expiresAt) }),
        };
        const changed = { action: 'token.create', token: id, ...given };
        return { text: secret, document: { id, token: secret, ...given }, changed };
      }),
    );

  const list = token
    .command('list')
    .description('List tokens, and the sessions and share links that they made, until 30 days after their end.')
    .option('--account <name>', 'only tokens of this account')
    .action((options) =>
      withAccounts(options, async (accounts, now) => {
        const tokens = await accounts.tokens(options.account);
        const at = now();
        const rows = tokens.map((each) => [
          each.id,
          `${each.hint}…`,
          each.kind,
          each.name ?? '',
          dateOf(each.createdAt),
          each.lastUsedAt === null ? 'never' : dateOf(each.lastUsedAt),
          stateOf(each, at),
          rightsOf(each),
          each.account,
        ]);
        const head = ['ID', 'TOKEN', 'KIND', 'NAME', 'CREATED', 'LAST USED', 'STATE', 'RIGHTS', 'ACCOUNT'];
        return { text: tableOf([head, ...rows]).join('\n'), document: { tokens: tokens.map(tokenDocument) } };
      }),
    );

  const revoke = token
    .command('revoke')
    .description('Revoke a token by its ID, with its sessions and share links. It stops working with the next request.')
    .argument('<id>', 'as "trainyard token list" shows it')
    .option('--with-made', 'also the tokens that it made, directly or through others')
    .action((id: string, { withMade, ...options }) =>
      withAccounts(options, async (accounts, now) => {
        const revoked = await accounts.revokeToken(id, now(), { withMade: withMade === true });
        const others = revoked.length - 1;
        const changed = { action: 'token.revoke', token: id, revoked };
        const what =
          withMade === true
            ? counted(others, 'token, session or share', 'tokens, sessions and shares')
            : counted(others, 'session or share', 'sessions and shares');
        const ended = others === 0 ? '' : ` ${what} of it ended too.`;
        return { text: `Revoked token ${id}.${ended}`, document: { id, revoked: true }, changed };
      }),
    );

  const examples = [
    [
      create,
      [
        'token create --account studio --name laptop',
        'token create --read-only --expires 30d --dataset railway     for a machine that only mounts it',
        'token create | trainyard login http://127.0.0.1:8787',
      ],
    ],
    [list, ['token list', "token list --json | jq -r '.tokens[].id'"]],
    [revoke, ['token revoke 3f9a1c', 'token revoke 3f9a1c --with-made']],
  ] as const;
  for (const [command, lines] of examples) {
    addSettings(command.option('--json', 'print JSON for scripts'), [
      'data',
      'databaseUrl',
      ...(command === list ? [] : (['auditLog'] as const)),
    ]);
    command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ trainyard ${line}`).join('\n')}`);
  }
}

async function withAccounts(
  { json, ...options }: Record<string, string> & { json?: true },
  work: (accounts: Accounts, now: () => number) => Promise<Output>,
): Promise<void> {
  // Imported late, so that other commands start without loading the database code.
  const { openCatalog } = await import('../../storage/catalog/open-catalog.js');
  const config = configFrom(options);
  requireCatalog(config);
  const catalog = await openCatalog(config);
  try {
    const { text, document, changed } = await work(catalog.accounts, catalog.now);
    if (changed !== undefined && config.auditLog !== undefined) {
      const entry = { time: timeOf(catalog.now()), outcome: 'done', by: 'command line', ...changed } as const;
      await appendAuditEntry(config.auditLog, entry).catch((error) => {
        process.stderr.write(`The audit log can't be written: ${error.message}\n`);
      });
    }
    if (json) printJson(document);
    else print(text);
  } finally {
    await catalog.close();
  }
}

function tokenDocument({ id, hint, kind, name, account, createdAt, revokedAt, expiresAt, ...token }: TokenSummary) {
  return {
    id,
    hint,
    kind,
    ...(name !== null && { name }),
    created_at: timeOf(createdAt),
    ...(revokedAt !== null && { revoked_at: timeOf(revokedAt) }),
    ...(expiresAt !== null && { expires_at: timeOf(expiresAt) }),
    ...(token.lastUsedAt !== null && { last_used_at: timeOf(token.lastUsedAt) }),
    ...(token.isReadOnly && { read_only: true }),
    ...(token.datasets !== null && { datasets: token.datasets.map(nameOf) }),
    account,
  };
}

function stateOf({ revokedAt, expiresAt }: TokenSummary, now: number): string {
  if (revokedAt !== null) return `revoked ${dateOf(revokedAt)}`;
  if (expiresAt === null) return 'active';
  return `${expiresAt <= now ? 'expired' : 'active until'} ${dateOf(expiresAt)}`;
}

function rightsOf({ isReadOnly, datasets }: TokenSummary): string {
  const verb = isReadOnly ? 'read' : 'all';
  return datasets === null ? verb : `${verb}: ${datasets.map(nameOf).join(', ')}`;
}

function nameOf({ id, name }: { id: string; name: string | null }): string {
  return name ?? `deleted ${id}`;
}

const MAX_EXPIRY_DAYS = 3650;

/** Parses `30d` into microseconds. */
function expiryOf(text: string): number {
  return secondsIn(text, { maxDays: MAX_EXPIRY_DAYS }) * MICROS_PER_SECOND;
}

/** Collects the values of an option that may be given several times. */
function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

function dateOf(micros: number): string {
  return timeOf(micros).slice(0, 19).replace('T', ' ');
}
