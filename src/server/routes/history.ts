import type { FastifyRequest } from 'fastify';
import type { WireRevision } from '../../api/history-schemas.js';
import type { StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Downloads } from '../../service/download/downloads.js';
import { type HistoryService, type RevisionView, textBytesOf } from '../../service/history.js';
import type { Accounts } from '../../storage/catalog/accounts.js';
import type { Quota } from '../../storage/limits.js';
import { type HoldUnsent, onceClosed } from '../connections.js';
import type { Handlers } from '../register-routes.js';
import { authorOf, fileToWire, timeOf } from '../wire.js';

interface HistoryServices {
  readonly history: HistoryService;
  readonly downloads: Downloads;
  readonly accounts: Accounts;
  /** For an account's files; a larger history takes no more pins. */
  readonly maxBytes: number;
  readonly filesInFlight: Quota;
  readonly holdUnsent: HoldUnsent;
}

export function historyHandlers(services: HistoryServices) {
  const { history, downloads, accounts, maxBytes, filesInFlight, holdUnsent } = services;
  return {
    'revision.list': async ({ key, query, request }) => {
      const { revisions, isLast } = await history.page(key, query);
      return {
        revisions: revisions.map((revision) => revisionToWire(revision, request)),
        next_before: isLast ? null : (revisions.at(-1)?.number ?? null),
      };
    },
    'revision.diff': async ({ key, query: { after = '', ...query }, accountId, reply }) => {
      const { from, to } = query;
      const { files, total, isLast } = await history.difference(key, { ...query, after: after.normalize('NFC') });
      // Counted before they are read, since an answer has up to 8 MiB of them.
      onceClosed(reply.raw, filesInFlight.hold(accountId, files.length));
      holdUnsent(reply.raw, { accountId, bytes: files.reduce((sum, file) => sum + textBytesOf(file), 0) });
      // Lost captions have no text, but can still be seen and undone.
      const versions = files.flatMap((file) => [file.from, file.to]).filter((file) => file !== undefined);
      const texts = await downloads.texts<StoredFile>(accountId, versions, { leavesOutDamaged: true });
      const withText = (file: StoredFile) => ({ ...fileToWire(file), text: texts.get(file) });
      return {
        ...{ from, to, total },
        added: files.flatMap((file) => (file.from === undefined && file.to ? withText(file.to) : [])),
        removed: files.flatMap((file) => (file.to === undefined && file.from ? withText(file.from) : [])),
        changed: files.flatMap(({ filename, from: before, to: now }) => {
          if (before === undefined || now === undefined) return [];
          const [from_text, to_text] = [texts.get(before), texts.get(now)];
          return { filename, from: fileToWire(before), to: fileToWire(now), from_text, to_text };
        }),
        next_after: isLast ? null : (files.at(-1)?.filename ?? null),
      };
    },
    'revision.read': async ({ key, params: { number }, request }) => {
      const revision = revisionToWire(await history.revision(key, number), request);
      const { files } = await history.ownManifest(key, number);
      return { ...revision, manifest: files.map(fileToWire) };
    },
    'revision.restore': async ({ key, params: { number }, request }) => {
      const { isRestored, revision } = await history.restore(key, number, { author: authorOf(request, 'restore') });
      return { restored: isRestored, revision: revisionToWire(revision, request) };
    },
    'revision.undo': async ({ key, params: { number }, request }) => {
      const { revision, undone, kept } = await history.undo(key, number, { author: authorOf(request, 'undo') });
      return { revision: revision === undefined ? null : revisionToWire(revision, request), undone, kept };
    },
    'revision.pin': async ({ key, params: { number }, body, accountId, request }) => {
      const { historyBytes } = await accounts.usage(accountId);
      if (historyBytes > maxBytes) throw historyTooLarge(historyBytes, maxBytes);
      const pin = { by: request.grant?.accountName ?? '', note: body?.note ?? null };
      return revisionToWire(await history.setPin(key, number, pin), request);
    },
    'revision.unpin': async ({ key, params: { number }, request }) =>
      revisionToWire(await history.setPin(key, number, null), request),
  } satisfies Partial<Handlers>;
}

/** Retention never deletes pinned revisions. */
function historyTooLarge(historyBytes: number, maxBytes: number): ServiceError {
  const message = `The history of the account has ${historyBytes} bytes, more than the ${maxBytes} that its files may have (--account-bytes). End the pins of other revisions first.`;
  return new ServiceError('quota_exceeded', message);
}

function revisionToWire(revision: RevisionView, { grant }: Pick<FastifyRequest, 'grant'>): WireRevision {
  const { number, token, how, changeId, restoredFrom, added, removed, changed, files, bytes, digest, isReady, pin } =
    revision;
  return {
    number,
    started_at: timeOf(revision.startedAt),
    changed_at: timeOf(revision.changedAt),
    account: grant?.accountName ?? '',
    token,
    how,
    change_id: changeId,
    restored_from: restoredFrom,
    ...{ added, removed, changed, files, bytes },
    digest,
    ready: isReady,
    is_latest: revision.isLatest,
    pinned: pin && { at: timeOf(pin.at), by: pin.by, note: pin.note },
  };
}
