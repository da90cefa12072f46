import { BackendUnusable } from '../../storage/backend-unusable.js';
import { AuditLog, type AuditLogOptions, requireAppendable } from './audit-log.js';

/** Where failures of the audit log are reported; a pino logger and the metrics of the server can be passed. */
interface AuditReporters {
  readonly logger: Readonly<Record<'warn' | 'error', (details: object, message: string) => void>>;
  readonly metrics: { gauge(name: string, help: string, read: () => number): void };
}

/** An audit log whose failures are in the log and in the metrics. @throws BackendUnusable if it can't be written at the start */
export async function openAuditLog(
  options: Omit<AuditLogOptions, 'onStateChange'>,
  { logger, metrics }: AuditReporters,
): Promise<AuditLog> {
  await requireAppendable(options.path).catch((error) => {
    throw new BackendUnusable(`The audit log can't be written: ${error.message}`, { cause: error, isTemporary: false });
  });
  const auditLog = new AuditLog({
    ...options,
    onStateChange: (err) => {
      if (err === undefined) logger.warn({ path: options.path }, 'the audit log is written again');
      else logger.error({ err, path: options.path }, 'THE AUDIT LOG CAN NOT BE WRITTEN; lines wait in memory');
    },
  });
  metrics.gauge('trainyard_audit_log_writable', 'Whether the audit log can be written.', () =>
    auditLog.isWritable ? 1 : 0,
  );
  metrics.gauge(
    'trainyard_audit_lines_lost',
    'Lines of the audit log that were never written.',
    () => auditLog.lostLines,
  );
  return auditLog;
}
