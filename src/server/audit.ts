import type { FastifyInstance, FastifyRequest } from 'fastify';
import { BASE_PATH } from '../api/base-path.js';
import type { WireErrorCode } from '../api/error-codes.js';
import type { DatasetFile } from '../dataset/dataset.js';
import type { AuditLog } from '../service/audit/audit-log.js';
import { onceAnswered } from './connections/disconnect.js';
import { timeOf } from './to-wire.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** What a request changed, beside what its path names. Set by a route that a token that only reads may use. */
    audited: Readonly<Record<string, unknown>> | undefined;
  }
}

/** A route that is missing here is recorded under its method and path. */
const ACTIONS: Record<string, string> = {
  'POST ': 'dataset.create',
  'DELETE /:id': 'dataset.delete',
  'PATCH /:id': 'dataset.change',
  'PUT /:id/links': 'links.replace',
  'POST /:id/upload': 'file.upload',
  'POST /:id/get-upload-endpoint': 'upload.reserve',
  'DELETE /:id/files/:filename': 'file.delete',
  'DELETE /:id/files': 'files.delete',
  'DELETE /:id/uploads/:filename': 'upload.withdraw',
  'DELETE /:id/uploads': 'uploads.withdraw',
  'PUT /:id/captions': 'captions.save',
  'POST /:id/revisions/:number/restore': 'revision.restore',
  'POST /:id/revisions/:number/undo': 'revision.undo',
  'PUT /:id/revisions/:number/pin': 'revision.pin',
  'DELETE /:id/revisions/:number/pin': 'revision.unpin',
  'POST /:id/recheck': 'dataset.recheck',
  'POST /webhooks': 'webhook.create',
  'PATCH /webhooks/:webhook_id': 'webhook.change',
  'DELETE /webhooks/:webhook_id': 'webhook.delete',
  'POST /webhooks/:webhook_id/test': 'webhook.test',
  'POST /webhooks/:webhook_id/deliveries/:delivery_id/resend': 'webhook.resend',
  'POST /tokens': 'token.create',
  'DELETE /tokens/:token_id': 'token.revoke',
  'POST /:id/shares': 'share.create',
  'DELETE /:id/shares/:share_id': 'share.revoke',
  'PUT /uploads/:id': 'file.upload',
  'POST /session': 'session.start',
  'DELETE /session': 'session.end',
  'POST /session/codes': 'session.code',
};

/**
 * Records every request of a scope that may change something, with its outcome. A request without a valid token or link is
 * not recorded: anyone could send so many that the lines of others are rotated away.
 */
export function recordRequests(scope: FastifyInstance, auditLog: AuditLog | undefined, now: () => number): void {
  scope.decorateRequest('audited', undefined);
  if (auditLog === undefined) return;
  onceAnswered(scope, (request, reply) => {
    const { method, routeOptions, grant, audited, failure } = request;
    const isRead = method === 'GET' || method === 'HEAD' || routeOptions.config.isRead === true;
    if (audited === undefined && (isRead || grant === undefined)) return;
    const path = `${method} ${routeOptions.url?.replace(BASE_PATH, '') ?? ''}`;
    auditLog.add({
      time: timeOf(now()),
      action: ACTIONS[path] ?? path,
      outcome: failure === undefined && reply.statusCode < 400 ? 'done' : 'failed',
      ...(failure !== undefined && { error: failure }),
      ...(grant && { account: grant.accountName, token: grant.tokenId }),
      ...(grant && grant.sessionId !== null && { session: grant.sessionId }),
      address: request.ip,
      ...(path !== 'PUT /uploads/:id' && subjectOf(request)),
      ...audited,
    });
  });
}

/** Records the outcome of an upload that a client has sent to the bucket, which has its address. */
export function recordPresignedUpload(
  auditLog: AuditLog | undefined,
  { id, datasetId, filename }: DatasetFile,
  { now, error }: { now: number; error?: WireErrorCode },
): void {
  auditLog?.add({
    time: timeOf(now),
    action: 'file.upload',
    outcome: error === undefined ? 'done' : 'failed',
    ...(error !== undefined && { error }),
    upload: id,
    dataset: datasetId,
    filename,
  });
}

function subjectOf({ params }: FastifyRequest): Record<string, unknown> {
  const { id, filename, number, webhook_id, delivery_id } = params as Readonly<Record<string, string | number>>;
  return {
    ...(id !== undefined && { dataset: id }),
    ...(filename !== undefined && { filename }),
    ...(number !== undefined && { revision: number }),
    ...(webhook_id !== undefined && { webhook: webhook_id }),
    ...(delivery_id !== undefined && { delivery: delivery_id }),
  };
}
