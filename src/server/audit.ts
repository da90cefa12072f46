import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { WireErrorCode } from '../api/error-codes.js';
import type { DatasetFile } from '../dataset/dataset.js';
import type { AuditLog } from '../service/audit/audit-log.js';
import { onceAnswered } from './connections.js';
import { isRead, rowOf } from './register-routes.js';
import { timeOf } from './wire.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** What was changed besides what the path names. Set by routes for tokens that only read. */
    audited: Readonly<Record<string, unknown>> | undefined;
  }
}

/** Requests without a valid token or link are left out: anyone could send enough to rotate other lines away. */
export function recordRequests(scope: FastifyInstance, auditLog: AuditLog | undefined, now: () => number): void {
  scope.decorateRequest('audited', undefined);
  if (auditLog === undefined) return;
  onceAnswered(scope, (request, reply) => {
    const { routeOptions, grant, audited, failure } = request;
    if (audited === undefined && (isRead(request) || grant === undefined)) return;
    const { route } = routeOptions.config;
    const isLink = rowOf(request)?.link === 'upload';
    auditLog.add({
      time: timeOf(now()),
      action: isLink ? 'file.upload' : (route ?? ''),
      outcome: failure === undefined && reply.statusCode < 400 ? 'done' : 'failed',
      error: failure,
      ...(grant && { account: grant.accountName, token: grant.tokenId }),
      session: grant?.sessionId ?? undefined,
      address: request.ip,
      ...(!isLink && subjectOf(request)),
      ...audited,
    });
  });
}

/** The bucket, not this server, knows the client's address. */
export function recordPresignedUpload(
  auditLog: AuditLog | undefined,
  { id, datasetId, filename }: DatasetFile,
  { now, error }: { now: number; error?: WireErrorCode },
): void {
  auditLog?.add({
    time: timeOf(now),
    action: 'file.upload',
    outcome: error === undefined ? 'done' : 'failed',
    error,
    upload: id,
    dataset: datasetId,
    filename,
  });
}

/** A request may be rejected before its parameters are parsed. */
function subjectOf({ params }: FastifyRequest): Record<string, unknown> {
  const { id, filename, number, webhook_id, delivery_id, ...others } = params as Readonly<Record<string, string>>;
  const revision = number !== undefined && /^\d+$/.test(number) ? Number(number) : number;
  const { run_id: run, endpoint, preset } = others;
  return { dataset: id, filename, revision, webhook: webhook_id, delivery: delivery_id, run, endpoint, preset };
}
