import type { FastifyRequest } from 'fastify';
import { MAX_DIRECT_BYTES } from '../../api/limits.js';
import type { WireRemovedFiles, WireSavedCaptions, WireUploadLink } from '../../api/schemas.js';
import type { DatasetFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { normalizedFilename } from '../../dataset/names.js';
import type { CaptionResult, CaptionWrites, FileRemovals, RemovedFile } from '../../service/bulk.js';
import type { Quota } from '../../storage/limits.js';
import type { UploadLink, UploadLinks } from '../../service/signed-links.js';
import type { Uploads } from '../../service/upload/uploads.js';
import { bodyOf, contentLengthOf, filePartOf, MAX_DIRECT_BODY_BYTES, uploadSignal } from '../bodies.js';
import { closedSignal } from '../connections.js';
import type { Metrics } from '../metrics.js';
import type { Handlers } from '../register-routes.js';
import {
  authorOf,
  conditionOf,
  currentToWire,
  etagOf,
  expectedConditionOf,
  expectedConditionsOf,
  fileToWire,
  problemToWire,
  timeOf,
  uploadedToWire,
} from '../wire.js';

const DIRECT_LIMIT = {
  bytes: MAX_DIRECT_BODY_BYTES,
  message: `A direct upload accepts files of up to ${MAX_DIRECT_BYTES} bytes. Use get-upload-endpoint for larger ones.`,
};

/** Larger batches have only their number in the audit log. */
const MAX_AUDITED_UPLOADS = 20;

/** The API promises an answer within 120 s. */
const DIRECT_SECONDS = 115;

interface UploadServices {
  readonly uploads: Uploads;
  readonly captionWrites: CaptionWrites;
  readonly removals: FileRemovals;
  readonly uploadLinks: UploadLinks;
  /** Without a new byte of an upload through a link. */
  readonly idleSeconds: number;
  readonly metrics: Metrics;
  readonly filesInFlight: Quota;
  /** `undefined`: the host that each client used. */
  readonly publicUrl: string | undefined;
  readonly now: () => number;
}

export function uploadHandlers(services: UploadServices) {
  const { uploads, captionWrites, removals, uploadLinks, idleSeconds, metrics, filesInFlight, publicUrl, now } =
    services;
  return {
    'file.upload': async ({ key, request, reply }) => {
      const atMostBytes = contentLengthOf(request);
      if ((atMostBytes ?? 0) > DIRECT_LIMIT.bytes) throw new ServiceError('too_large', DIRECT_LIMIT.message);
      const condition = conditionOf(request.headers);
      const author = authorOf(request, 'upload');
      const signal = uploadSignal(request, reply, { totalSeconds: DIRECT_SECONDS });
      const { filename, body } = await filePartOf(request.raw, { limit: DIRECT_LIMIT, signal });
      request.audited = { filename };
      const received = uploads.receiveDirect(key, filename, { body, signal, atMostBytes, author, condition });
      const file = await received.catch((error) => {
        metrics.uploads.inc({ via: 'direct', outcome: 'refused' });
        throw error;
      });
      metrics.uploaded('direct', file.upload.sizeBytes);
      reply.header('etag', etagOf(file.upload));
      return uploadedToWire(file);
    },
    'upload.reserve': async ({ key, body, request }) => {
      const base = baseUrlOf(request, publicUrl);
      const sizes = new Map(Object.entries(body.filenameToByteSize));
      request.audited = { files: sizes.size };
      const conditions = expectedConditionsOf(body.ifMatch, {
        hasName: (filename) => sizes.has(filename),
        namesIn: 'filenameToByteSize',
      });
      const options = { author: authorOf(request, 'upload'), conditions };
      // Once begun, the work goes on for a client that has gone.
      const release = filesInFlight.hold(key.accountId, sizes.size);
      try {
        const files = await uploads.reserve(key, sizes, options);
        if (files.size <= MAX_AUDITED_UPLOADS) {
          request.audited = { files: files.size, uploads: [...files.values()].map(({ id }) => id) };
        }
        const made = await uploadLinks.linksFor(files, now());
        const wire = [...made].map(([name, link]) => [name, uploadLinkToWire(link, base)]);
        return { uploads: Object.fromEntries(wire) };
      } finally {
        release();
      }
    },
    'upload.receive': async ({ params, query, request, reply }) => {
      const { size = '', expires = '', signature = '' } = query;
      const link = uploadLinks.verify({ id: params.id, size, expires, signature }, now());
      request.audited = { upload: link.fileId };
      const sizeBytes = contentLengthOf(request);
      if (sizeBytes === undefined) {
        throw new ServiceError('length_required', 'Send the PUT with a Content-Length of the exact file size.');
      }
      const signal = uploadSignal(request, reply, { idleSeconds });
      const onFile = ({ datasetId, filename }: DatasetFile) => {
        request.audited = { upload: link.fileId, dataset: datasetId, filename };
      };
      const received = uploads.receiveLink(link, sizeBytes, { body: bodyOf(request.raw), signal, onFile });
      const file = await received.catch((error) => {
        metrics.uploads.inc({ via: 'link', outcome: 'refused' });
        throw error;
      });
      metrics.uploaded('link', file.upload.sizeBytes);
      reply.header('etag', etagOf(file.upload));
      return uploadedToWire(file);
    },
    'captions.save': async ({ key, body, request, reply }) => {
      const captions = body.captions.map(({ filename, text, ifMatch }, i) => ({
        filename,
        text,
        ...(ifMatch !== undefined && { condition: expectedConditionOf(ifMatch, `captions.${i}.ifMatch`) }),
      }));
      const options = { author: authorOf(request, 'edit'), signal: closedSignal(reply) };
      const saved = await captionWrites.save(key, captions, options);
      return { captions: saved.captions.map(savedToWire), revision: saved.revision };
    },
    'file.delete': async ({ key, params, request }) => {
      const filename = params.filename.normalize('NFC');
      const options = { author: authorOf(request, 'delete'), condition: conditionOf(request.headers) };
      return { filename, deleted: true, revision: await removals.file(key, filename, options) };
    },
    'files.delete': async ({ key, body, request }) => {
      const filenames = namesOf(body.filenames);
      const named = new Set(filenames);
      const hasName = (name: string) => named.has(normalizedFilename(name));
      const given = expectedConditionsOf(body.ifMatch, { hasName, namesIn: 'filenames' });
      const conditions = new Map([...given].map(([name, condition]) => [normalizedFilename(name), condition]));
      const options = { author: authorOf(request, 'delete'), conditions };
      const removed = await removals.files(key, filenames, options);
      return { files: removed.files.map(removedToWire), revision: removed.revision };
    },
    'upload.withdraw': async ({ key, params }) => {
      const filename = params.filename.normalize('NFC');
      await removals.upload(key, filename);
      return { filename, withdrawn: true };
    },
    'uploads.withdraw': async ({ key, body }) => {
      const withdrawn = await removals.uploads(key, namesOf(body.filenames));
      return {
        uploads: withdrawn.map(({ filename, outcome }) => ({ filename, withdrawn: outcome === 'removed' })),
      };
    },
  } satisfies Partial<Handlers>;
}

function uploadLinkToWire({ url, headers, expiresAt }: UploadLink, base: string): WireUploadLink {
  const upload_url = url.startsWith('/') ? `${base}${url}` : url;
  return { upload_url, method: 'PUT', headers, expires_at: timeOf(expiresAt) };
}

function namesOf(filenames: readonly string[]): string[] {
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

/** Without a public URL, the host that the client used. */
export function baseUrlOf(request: FastifyRequest, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl;
  try {
    return new URL(`${request.protocol}://${request.host}`).origin;
  } catch {
    throw new ServiceError('invalid_field', `The Host header ${JSON.stringify(request.host)} is not a valid host.`);
  }
}
