import { type QueryClient, useQuery } from '@tanstack/react-query';
import type { Token } from '../../src/client/client.js';
import { RelativeTime } from '../datasets/relative-time.js';
import { useAccount } from '../session/account.js';
import { useClient } from '../session/client.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Button } from '../ui/button.js';

interface TokenListProps {
  readonly tokens: readonly Token[];
  /** Said if there are none. */
  readonly none: string;
  readonly onRevoke: (token: Token) => void;
}

const REVOKE = { token: 'Revoke', session: 'Sign out', share: 'Revoke' } as const;

/** Tokens, sessions or shares with their rights, last use and expiry. */
export function TokenList({ tokens, none, onRevoke }: TokenListProps) {
  const whyNot = useWhyNotManage();
  if (tokens.length === 0) return <p className="text-sm text-muted">{none}</p>;
  return (
    <ul className="flex flex-col divide-y divide-line">
      {tokens.map((token) => (
        <li key={token.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 py-2">
          <div className="mr-auto min-w-0">
            <p className="flex flex-wrap items-center gap-2 font-medium wrap-anywhere">
              {titleOf(token)}
              <code className="text-xs text-muted">{token.hint}…</code>
              {token.current && (
                <span className="rounded-full bg-good-soft px-2 text-xs text-good">
                  {token.kind === 'session' ? 'this browser' : 'in use here'}
                </span>
              )}
              {isOver(token) && <span className="rounded-full bg-warn-soft px-2 text-xs text-warn">expired</span>}
            </p>
            <p className="text-sm text-muted wrap-anywhere">
              {rightsOf(token)} ·{' '}
              {token.last_used_at === null ? (
                'never used'
              ) : (
                <>
                  used <RelativeTime time={token.last_used_at} />
                </>
              )}{' '}
              · made <RelativeTime time={token.created_at} />
              {token.expires_at === null ? ' · does not expire' : ` · ends ${momentOf(dateOf(token.expires_at))}`}
            </p>
          </div>
          <Button
            kind="danger"
            disabled={whyNot !== undefined}
            title={whyNot}
            aria-label={`${REVOKE[token.kind]} ${titleOf(token)} ${token.hint}`}
            onClick={() => onRevoke(token)}
          >
            {REVOKE[token.kind]}
          </Button>
        </li>
      ))}
    </ul>
  );
}

/** What a person calls it. */
export function titleOf({ kind, name, datasets }: Token): string {
  if (kind === 'share')
    return [datasets?.[0]?.name ?? 'a deleted dataset', ...(name === null ? [] : [`for ${name}`])].join(' ');
  return name ?? (kind === 'session' ? 'A browser' : 'Token without a name');
}

function rightsOf({ kind, read_only, datasets }: Token): string {
  if (kind === 'share') return 'shows and downloads';
  const verb = read_only ? 'only reads' : 'all rights';
  if (datasets === null) return verb;
  return `${verb} of ${datasets.map(({ id, name }) => name ?? `deleted ${id.slice(0, 8)}`).join(', ')}`;
}

function isOver({ expires_at }: Token): boolean {
  return expires_at !== null && dateOf(expires_at).getTime() <= Date.now();
}

const KEY = ['tokens'];

/** The tokens, sessions and shares of the account that are not revoked. */
export function useTokens() {
  const client = useClient();
  return useQuery({ queryKey: KEY, queryFn: ({ signal }) => client.tokens.list({ signal }), refetchOnMount: 'always' });
}

export function refetchTokens(queries: QueryClient): void {
  void queries.invalidateQueries({ queryKey: KEY });
}

/** Why the own token can't make and revoke tokens; `undefined` if it can. */
export function useWhyNotManage(): string | undefined {
  const token = useAccount()?.token;
  if (token?.read_only) return 'Your token only reads.';
  return token?.datasets ? 'Your token is bound to certain datasets.' : undefined;
}
