import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import type { NewToken, Token } from '../../src/client/client.js';
import { commandLine } from '../../src/command-line.js';
import { RelativeTime } from '../datasets/relative-time.js';
import { useDatasets } from '../live/datasets.js';
import { ONLY_READS, useAccount } from '../session/account.js';
import { useClient } from '../session/client.js';
import { FormDialog } from '../session/dialog-form.js';
import { checkSession } from '../session/session.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Button } from '../ui/button.js';
import { CopyLine } from '../ui/copy.js';
import { Dialog } from '../ui/dialog.js';
import { CheckField, TextField } from '../ui/fields.js';
import { countOf } from '../ui/format.js';
import { Loaded } from '../ui/loaded.js';
import { Choices, Panel } from '../ui/panel.js';

/** What signs in, with what is said if there is none of it. */
const KINDS = [
  {
    kind: 'token',
    title: 'Tokens',
    end: 'Revoke',
    what: 'A machine that uploads or trains signs in with a token of its own, so that it can be revoked alone.',
    none: 'There are no tokens.',
  },
  {
    kind: 'session',
    title: 'Sessions',
    end: 'Sign out',
    what: 'Browsers that are signed in. A session ends with the token that started it.',
    none: 'No browser is signed in.',
  },
  {
    kind: 'share',
    title: 'Share links',
    end: 'Revoke',
    what: 'Each shows the current files of one dataset to a person without an account. Create them on the page of a dataset.',
    none: 'No dataset is shared.',
  },
] as const;

const KEY = ['tokens'];

/** The tokens, sessions and share links of the account that are not revoked: made, and ended. */
export function TokenPanels() {
  const client = useClient();
  const tokens = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => client.tokens.list({ signal }),
    refetchOnMount: 'always',
  });
  const whyNot = useWhyNotManage();
  const [isMaking, setMaking] = useState(false);
  const [toRevoke, setToRevoke] = useState<Token>();
  const newToken = (
    <Button icon={Plus} kind="primary" disabled={whyNot !== undefined} title={whyNot} onClick={() => setMaking(true)}>
      New token
    </Button>
  );
  return (
    <>
      {whyNot !== undefined && <p className="text-sm text-muted">{whyNot} It can't create or revoke tokens.</p>}
      <Loaded of={tokens}>
        {(all) =>
          KINDS.map(({ kind, title, end, what, none }) => {
            const ofKind = all.filter((token) => token.kind === kind);
            return (
              <Panel key={kind} title={title} aside={kind === 'token' && newToken}>
                <p className="text-sm text-muted">{what}</p>
                {ofKind.length === 0 ? (
                  <p className="text-sm text-muted">{none}</p>
                ) : (
                  <ul className="flex flex-col divide-y divide-line">
                    {ofKind.map((token) => (
                      <TokenItem key={token.id} {...{ token, end, whyNot }} onEnd={() => setToRevoke(token)} />
                    ))}
                  </ul>
                )}
              </Panel>
            );
          })
        }
      </Loaded>
      {isMaking && <NewTokenDialog onClose={() => setMaking(false)} />}
      {toRevoke !== undefined && (
        <RevokeDialog token={toRevoke} tokens={tokens.data ?? []} onClose={() => setToRevoke(undefined)} />
      )}
    </>
  );
}

interface TokenItemProps {
  readonly token: Token;
  /** What ends it, such as `Revoke`. */
  readonly end: string;
  readonly whyNot: string | undefined;
  readonly onEnd: () => void;
}

/** A token, session or share with its rights, last use and expiry. */
function TokenItem({ token, end, whyNot, onEnd }: TokenItemProps) {
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 py-2">
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
        aria-label={`${end} ${titleOf(token)} ${token.hint}`}
        onClick={onEnd}
      >
        {end}
      </Button>
    </li>
  );
}

/** What a person calls it. */
function titleOf({ kind, name, datasets }: Token): string {
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

/** Why the own token can't make and revoke tokens; `undefined` if it can. */
function useWhyNotManage(): string | undefined {
  const token = useAccount()?.token;
  if (token?.read_only) return ONLY_READS;
  return token?.datasets ? 'Your token is bound to certain datasets.' : undefined;
}

const DAY_SECONDS = 86_400;
const DAYS = { 0: 'never', 30: '30 days', 90: '90 days', 365: 'a year' } as const;

/** Makes a token, and shows its secret once. */
function NewTokenDialog({ onClose }: { onClose: () => void }) {
  const [made, setMade] = useState<NewToken>();
  if (made === undefined) return <RightsForm onMade={setMade} onClose={onClose} />;
  return (
    <Dialog title="The new token" onClose={onClose} staysOnClickOutside close={{ kind: 'primary', children: 'Done' }}>
      <p>Copy it now. It is not stored, and not shown again.</p>
      <CopyLine text={made.secret} what="the token" />
      <p>On the machine that uses it, run this, and paste the token when it asks:</p>
      <CopyLine text={commandLine(location.origin, ['login', location.origin])} what="the command that signs in" />
    </Dialog>
  );
}

function RightsForm({ onMade, onClose }: { onMade: (token: NewToken) => void; onClose: () => void }) {
  const client = useClient();
  const queries = useQueryClient();
  const { data: datasets = [] } = useDatasets();
  const [name, setName] = useState('');
  const [readOnly, setReadOnly] = useState(false);
  const [ids, setIds] = useState<readonly string[]>([]);
  const [days, setDays] = useState<number>(0);
  const make = async () => {
    const made = await client.tokens.make({
      name: name.trim() || undefined,
      readOnly,
      datasets: ids.length === 0 ? undefined : ids,
      expiresInSeconds: days === 0 ? undefined : days * DAY_SECONDS,
    });
    void queries.invalidateQueries({ queryKey: KEY });
    onMade(made);
  };

  return (
    <FormDialog title="New token" onClose={onClose} work={make} label="Create token" busyLabel="Creating …">
      <TextField label="Name" value={name} onChange={setName} placeholder="The machine that uses it" />
      <CheckField isChecked={readOnly} onChange={setReadOnly}>
        Only reads: lists, downloads and mounts, and changes nothing
      </CheckField>
      {datasets.length > 0 && (
        <fieldset className="flex max-h-40 flex-col gap-1 overflow-y-auto rounded-lg border border-line p-3 text-sm">
          <legend className="px-1 font-medium">Only these datasets (none chosen: all)</legend>
          {datasets.map(({ id, name }) => (
            <CheckField
              key={id}
              isChecked={ids.includes(id)}
              onChange={(isChecked) => setIds(isChecked ? [...ids, id] : ids.filter((each) => each !== id))}
            >
              {name}
            </CheckField>
          ))}
        </fieldset>
      )}
      <Choices label="Expires" options={DAYS} value={days} onChange={setDays} />
    </FormDialog>
  );
}

interface RevokeDialogProps {
  readonly token: Token;
  /** All of the account, to say what ends with it. */
  readonly tokens: readonly Token[];
  readonly onClose: () => void;
}

/** Says what a revocation ends, and asks before it. */
function RevokeDialog({ token, tokens, onClose }: RevokeDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [withMade, setWithMade] = useState(false);
  const made = tokens.filter(({ made_by }) => made_by === token.id);
  const numberOfKind = (kind: Token['kind']) => made.filter((each) => each.kind === kind).length;
  const [sessions, shares, others] = [numberOfKind('session'), numberOfKind('share'), numberOfKind('token')];
  const ends = [sessions > 0 && countOf(sessions, 'session'), shares > 0 && countOf(shares, 'share link')].filter(
    Boolean,
  );
  const isOwn = token.current || made.some(({ current }) => current);
  const isSession = token.kind === 'session';

  const revoke = async () => {
    const { current } = await client.tokens.revoke(token.id, { withMade });
    if (current) {
      await checkSession(
        isSession ? 'You signed this browser out.' : 'You revoked the token that you were signed in with.',
      );
      return;
    }
    void queries.invalidateQueries({ queryKey: KEY });
    onClose();
  };

  return (
    <FormDialog
      title={`${isSession ? 'Sign out' : 'Revoke'} ${titleOf(token)}?`}
      onClose={onClose}
      work={revoke}
      kind="danger"
      label={isSession ? 'Sign out' : 'Revoke'}
      busyLabel={isSession ? 'Signing out …' : 'Revoking …'}
    >
      <p>
        {isSession
          ? 'The browser has to sign in again.'
          : token.kind === 'share'
            ? 'The link no longer opens the dataset.'
            : 'It stops working with the next request, for good.'}
        {ends.length > 0 && ` The ${ends.join(' and the ')} that it started end too.`}
      </p>
      {isOwn && <p className="font-medium">You are signed in with it: this page signs out.</p>}
      {others > 0 && (
        <CheckField isChecked={withMade} onChange={setWithMade}>
          Also revoke the {countOf(others, 'token')} that it made, because it is known to others
        </CheckField>
      )}
    </FormDialog>
  );
}
