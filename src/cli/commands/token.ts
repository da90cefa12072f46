import type { Command } from 'commander';
import type { Config } from '../../config.js';
import { MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { timeOf } from '../../server/wire.js';
import { appendAuditEntry } from '../../service/audit-log.js';
import type { TokenSummary } from '../../storage/catalog/accounts.js';
import { collect, secondsIn } from '../arguments.js';
import { onInstallation, withCatalog } from '../settings.js';
import { type Output, tableLines } from '../terminal/print.js';
import { counted, secondOf } from '../terminal/text.js';

/** `trainyard token create|list|revoke`, on the machine with the data; the server may be running. */
export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('Create, list and revoke access tokens.');
  const helpOf = (...lines: string[]) =>
    `\nExamples:\n${lines.map((line) => `  $ trainyard token ${line}`).join('\n')}`;

  const create = token
    .command('create')
    .description('Create a token and print it. It is not shown again.')
    .option('--account <name>', 'the account of the token; created if it is new', 'default')
    .option('--name <name>', 'who or what uses the token, for the history of datasets: laptop')
    .option('--expires <duration>', 'when the token ends: 30d, 12h, 90m; by default it does not', expiryOf)
    .option('--read-only', 'the token lists, downloads and mounts, and changes nothing')
    .option('--dataset <name>', 'a dataset that the token is bound to; repeatable', collect<string>);
  const createHelp = helpOf(
    'create --account studio --name laptop',
    'create --read-only --expires 30d --dataset railway     for a machine that only mounts it',
    'create | trainyard login http://127.0.0.1:8787',
  );
  onInstallation(create, { settings: ['data', 'databaseUrl', 'auditLog'], help: createHelp }, createToken);

  const list = token
    .command('list')
    .description('List tokens, and the sessions and share links that they made, until 30 days after their end.')
    .option('--account <name>', 'only tokens of this account');
  const listHelp = helpOf('list', "list --json | jq -r '.tokens[].id'");
  onInstallation(list, { settings: ['data', 'databaseUrl'], help: listHelp }, listTokens);

  const revoke = token
    .command('revoke')
    .description('Revoke a token by its ID, with its sessions and share links. It stops working with the next request.')
    .argument('<id>', 'as "trainyard token list" shows it')
    .option('--with-made', 'also the tokens that it made, directly or through others');
  const revokeHelp = helpOf('revoke 3f9a1c', 'revoke 3f9a1c --with-made');
  onInstallation(revoke, { settings: ['data', 'databaseUrl', 'auditLog'], help: revokeHelp }, revokeToken);
}

/** `expires` is in microseconds. */
type CreateOptions = {
  account: string;
  name?: string;
  expires?: number;
  readOnly?: true;
  dataset?: readonly string[];
  json?: true;
};

async function createToken(config: Config, options: CreateOptions): Promise<Output> {
  const { account, name, expires, dataset: datasets } = options;
  return withCatalog(config, async ({ accounts, now }) => {
    const expiresAt = expires === undefined ? null : now() + expires;
    const rights = { expiresAt, isReadOnly: options.readOnly === true, datasets, name };
    const { token: secret, id } = await accounts.createToken(account, now(), rights);
    if (!options.json) {
      process.stderr.write(`Created token ${id} for the account "${account}". It is not shown again:\n`);
    }
    const given = {
      account,
      ...(name !== undefined && { name }),
      ...(rights.isReadOnly && { read_only: true }),
      ...(datasets !== undefined && { datasets }),
      ...(expiresAt !== null && { expires_at: timeOf(expiresAt) }),
    };
    await audit(config, { time: timeOf(now()), action: 'token.create', token: id, ...given });
    return { document: { id, token: secret, ...given }, lines: [secret] };
  });
}

async function listTokens(config: Config, { account }: { account?: string }): Promise<Output> {
  return withCatalog(config, async ({ accounts, now }) => {
    const tokens = await accounts.tokens(account);
    const at = now();
    const lines = tableLines(tokens, 'There are no tokens.', {
      id: ({ id }) => id,
      token: ({ hint }) => `${hint}…`,
      kind: ({ kind }) => kind,
      name: ({ name }) => name ?? '',
      created: ({ createdAt }) => dateOf(createdAt),
      'last used': ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : dateOf(lastUsedAt)),
      state: (token) => stateOf(token, at),
      rights: rightsOf,
      account: (token) => token.account,
    });
    return { document: { tokens: tokens.map(tokenDocument) }, lines };
  });
}

async function revokeToken(config: Config, { withMade }: { withMade?: true }, id: string): Promise<Output> {
  return withCatalog(config, async ({ accounts, now }) => {
    const revoked = await accounts.revokeToken(id, now(), { withMade: withMade === true });
    await audit(config, { time: timeOf(now()), action: 'token.revoke', token: id, revoked });
    const others = revoked.length - 1;
    const what = withMade
      ? counted(others, 'token, session or share', 'tokens, sessions and shares')
      : counted(others, 'session or share', 'sessions and shares');
    const ended = others === 0 ? '' : ` ${what} of it ended too.`;
    return { document: { id, revoked: true }, lines: [`Revoked token ${id}.${ended}`] };
  });
}

async function audit({ auditLog }: Config, entry: { time: string; action: string; [field: string]: unknown }) {
  if (auditLog === undefined) return;
  await appendAuditEntry(auditLog, { outcome: 'done', by: 'command line', ...entry }).catch((error) => {
    process.stderr.write(`The audit log can't be written: ${error.message}\n`);
  });
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

function expiryOf(text: string): number {
  return secondsIn(text, { maxDays: 3650 }) * MICROS_PER_SECOND;
}

function dateOf(micros: number): string {
  return secondOf(timeOf(micros));
}
