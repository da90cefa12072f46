import type { z } from 'zod';
import {
  type WireRemovedFiles,
  type WireSavedCaptions,
  wireRemovedFiles,
  wireSavedCaptions,
  wireWithdrawnUploads,
} from '../../api/bulk-schemas.js';
import { captionsBody, changeHeaders, datasetParams, removalBody, withdrawalBody } from '../../api/request-schemas.js';
import { normalizedFilename } from '../../dataset/names.js';
import type { RemovedFile } from '../../service/bulk/bulk-removals.js';
import type { CaptionResult } from '../../service/bulk/caption-writes.js';
import { authorOf } from '../author.js';
import { currentToWire, expectedConditionOf, expectedConditionsOf } from '../conditions.js';
import { disconnectSignal } from '../connections/disconnect.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { fileToWire, problemToWire } from '../to-wire.js';

const route = routesTagged('files');

/** Room for 256 captions of the largest size. */
const MAX_CAPTIONS_BODY_BYTES = 16 * 1024 * 1024;

/** Routes that write or remove many files in one request. */
export function registerBulkRoutes(app: App, { captionWrites, bulkRemovals }: RouteContext): void {
  app.put(
    '/:id/captions',
    {
      bodyLimit: MAX_CAPTIONS_BODY_BYTES,
      ...route('Save up to 1,000 captions, each only if its ETag is the expected one', {
        params: datasetParams,
        headers: changeHeaders,
        body: captionsBody,
        response: { 200: wireSavedCaptions },
        errors: ['invalid_name', 'unsupported_type', 'quota_exceeded'],
      }),
    },
    async (request, reply) => {
      const { accountId, params, body } = request;
      const captions = body.captions.map(({ filename, text, ifMatch }, i) => ({
        filename,
        text,
        ...(ifMatch !== undefined && { condition: expectedConditionOf(ifMatch, `captions.${i}.ifMatch`) }),
      }));
      const options = { author: authorOf(request, 'edit'), signal: disconnectSignal(reply) };
      const saved = await captionWrites.save({ accountId, id: params.id }, captions, options);
      return { captions: saved.captions.map(savedToWire), revision: saved.revision };
    },
  );

  app.delete(
    '/:id/files',
    route('Delete up to 1,000 files, with any pending or rejected upload of their names', {
      params: datasetParams,
      headers: changeHeaders,
      body: removalBody,
      response: { 200: wireRemovedFiles },
    }),
    async (request) => {
      const { accountId, params, body } = request;
      const filenames = namesOf(body);
      const named = new Set(filenames);
      const hasName = (name: string) => named.has(normalizedFilename(name));
      const given = expectedConditionsOf(body.ifMatch, { hasName, namesIn: 'filenames' });
      const conditions = new Map([...given].map(([name, condition]) => [normalizedFilename(name), condition]));
      const options = { author: authorOf(request, 'delete'), conditions };
      const removed = await bulkRemovals.files({ accountId, id: params.id }, filenames, options);
      return { files: removed.files.map(removedToWire), revision: removed.revision };
    },
  );

  app.delete(
    '/:id/uploads',
    route('Remove the pending and rejected uploads of up to 1,000 names; stored files of those names stay', {
      params: datasetParams,
      body: withdrawalBody,
      response: { 200: wireWithdrawnUploads },
    }),
    async ({ accountId, params, body }) => {
      const withdrawn = await bulkRemovals.uploads({ accountId, id: params.id }, namesOf(body));
      return {
        uploads: withdrawn.map(({ filename, outcome }) => ({ filename, withdrawn: outcome === 'removed' })),
      };
    },
  );
}

/** The names of a request, each once. */
function namesOf({ filenames }: z.infer<typeof withdrawalBody>): string[] {
  return [...new Set(filenames.map(normalizedFilename))];
}

function savedToWire(saved: CaptionResult): WireSavedCaptions['captions'][number] {
  const { filename, outcome } = saved;
  switch (outcome) {
    case 'saved':
      return { filename, saved: true, file: fileToWire(saved.file) };
    case 'conflict':
      return { filename, saved: false, current: currentToWire(saved.current) };
    case 'rejected':
      return { filename, saved: false, problem: problemToWire(saved.problem) };
  }
}

function removedToWire(removed: RemovedFile): WireRemovedFiles['files'][number] {
  const { filename, outcome } = removed;
  if (outcome === 'conflict') return { filename, deleted: false, current: currentToWire(removed.current) };
  return { filename, deleted: outcome === 'removed' };
}
