import type { FastifyRequest } from 'fastify';
import {
  type WireRevision,
  wireRestored,
  wireRevision,
  wireRevisionDiff,
  wireRevisionPage,
  wireRevisionWithFiles,
  wireUndone,
} from '../../api/history-schemas.js';
import {
  datasetParams,
  pinBody,
  revisionDiffQuery,
  revisionParams,
  revisionsQuery,
} from '../../api/request-schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { RevisionView } from '../../service/history/revision-manifests.js';
import { authorOf } from '../author.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { fileToWire, timeOf } from '../to-wire.js';
import { differenceTexts } from './download/difference-texts.js';
import { sendJsonParts } from './download/json-parts.js';

const route = routesTagged('history');

/** Routes to read, restore and pin the revisions of a dataset. */
export function registerHistoryRoutes(app: App, context: RouteContext): void {
  const { history, downloads, accounts, limits, filesInFlight } = context;

  app.get(
    '/:id/revisions',
    route('List the kept revisions, newest first', {
      params: datasetParams,
      querystring: revisionsQuery,
      response: { 200: wireRevisionPage },
    }),
    async (request) => {
      const { revisions, isLast } = await history.page(keyOf(request), request.query);
      return {
        revisions: revisions.map((revision) => revisionToWire(revision, request)),
        next_before: isLast ? null : (revisions.at(-1)?.number ?? null),
      };
    },
  );

  app.get(
    '/:id/revisions/diff',
    route('The files that differ between two revisions, with the texts of captions', {
      params: datasetParams,
      querystring: revisionDiffQuery,
      response: { 200: wireRevisionDiff },
      errors: ['revision_not_found'],
    }),
    async (request, reply) => {
      const {
        accountId,
        query: { from, to, limit, after = '' },
      } = request;
      const query = { from, to, limit, after: after.normalize('NFC') };
      const difference = await history.difference(keyOf(request), query);
      filesInFlight.admit(accountId, difference.files.length, reply.raw);
      return sendJsonParts(reply, differenceTexts(downloads, { ...query, accountId }, difference), context);
    },
  );

  app.get(
    '/:id/revisions/:number',
    route('A revision with all its files', {
      params: revisionParams,
      response: { 200: wireRevisionWithFiles },
      errors: ['revision_not_found', 'invalid_field'],
    }),
    async (request) => {
      const { number } = request.params;
      const revision = revisionToWire(await history.revision(keyOf(request), number), request);
      const { files } = await history.ownManifest(keyOf(request), number);
      return { ...revision, manifest: files.map(fileToWire) };
    },
  );

  app.post(
    '/:id/revisions/:number/restore',
    route("Make the dataset's files those of a revision, as a new revision", {
      params: revisionParams,
      response: { 200: wireRestored },
      errors: ['revision_not_found', 'invalid_field', 'quota_exceeded'],
    }),
    async (request) => {
      const options = { author: authorOf(request, 'restore') };
      const { isRestored, revision } = await history.restore(keyOf(request), request.params.number, options);
      return { restored: isRestored, revision: revisionToWire(revision, request) };
    },
  );

  app.post(
    '/:id/revisions/:number/undo',
    route('Reverse the changes of a revision, except those of files that were changed again since', {
      params: revisionParams,
      response: { 200: wireUndone },
      errors: ['revision_not_found', 'invalid_field', 'quota_exceeded'],
    }),
    async (request) => {
      const options = { author: authorOf(request, 'undo') };
      const { revision, undone, kept } = await history.undo(keyOf(request), request.params.number, options);
      return { revision: revision === undefined ? null : revisionToWire(revision, request), undone, kept };
    },
  );

  app.put(
    '/:id/revisions/:number/pin',
    route('Keep a revision until it is unpinned', {
      params: revisionParams,
      body: pinBody,
      response: { 200: wireRevision },
      errors: ['revision_not_found', 'invalid_field', 'quota_exceeded'],
    }),
    async (request) => {
      const { historyBytes } = await accounts.usage(request.accountId);
      if (historyBytes > limits.account.bytes) throw historyTooLarge(historyBytes, limits.account.bytes);
      const pin = { by: request.grant?.accountName ?? '', note: request.body?.note ?? null };
      return revisionToWire(await history.setPin(keyOf(request), request.params.number, pin), request);
    },
  );

  app.delete(
    '/:id/revisions/:number/pin',
    route('End the pin of a revision', {
      params: revisionParams,
      response: { 200: wireRevision },
      errors: ['revision_not_found', 'invalid_field'],
    }),
    async (request) => {
      return revisionToWire(await history.setPin(keyOf(request), request.params.number, null), request);
    },
  );
}

/** Retention deletes other revisions, but none that is pinned. */
function historyTooLarge(historyBytes: number, maxBytes: number): ServiceError {
  const message = `The history of the account has ${historyBytes} bytes, more than the ${maxBytes} that its files may have (--account-bytes). End the pins of other revisions first.`;
  return new ServiceError('quota_exceeded', message);
}

function keyOf({ accountId, params }: FastifyRequest<{ Params: { id: string } }>) {
  return { accountId, id: params.id };
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
