import { appendFile } from 'node:fs/promises';
import { escapeOf } from '../json-text.js';
import { BackendUnusable } from '../storage/backend-unusable.js';

/** Who did what to what, from where, and how it ended. Never a secret or the text of a caption. */
interface AuditEntry {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly action: string;
  readonly outcome: 'done' | 'failed';
  readonly [field: string]: unknown;
}

/** @param onLost is called with each entry that could not be written @throws BackendUnusable if the file can't be written */
export async function openAuditLog(path: string, onLost: (entry: AuditEntry, error: unknown) => void) {
  await appendFile(path, '', { mode: 0o600 }).catch((error) => {
    const message = `The audit log can't be written: ${error.message}`;
    throw new BackendUnusable(message, { cause: error, isTemporary: false });
  });
  let isWritable = true;
  let writing = Promise.resolve();
  const add = (entry: AuditEntry): void => {
    writing = writing
      .then(() => appendAuditEntry(path, entry))
      .then(
        () => {
          isWritable = true;
        },
        (error) => {
          isWritable = false;
          onLost(entry, error);
        },
      );
  };
  return { add, isWritable: () => isWritable, close: () => writing };
}

/** Appends JSON lines in the background. The file is opened for each, so that processes may share it, and others rotate it. */
export type AuditLog = Awaited<ReturnType<typeof openAuditLog>>;

/** Appends a line, with characters escaped that control a terminal or the direction of text. */
export async function appendAuditEntry(path: string, entry: AuditEntry): Promise<void> {
  const json = withoutTokens(JSON.stringify(entry));
  await appendFile(path, `${json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeOf)}\n`, { mode: 0o600 });
}

/** The secret of a token, session or code. */
const TOKEN = /ty[sc]?_[A-Za-z0-9_-]{43}/g;

/** In links of the service, and of S3. */
const SIGNATURE = /\b((?:X-Amz-)?(?:signature|credential|security-token)(?:=|%3D))[^&\s"'\\]+/gi;

/** Hides tokens and signatures, which a client may have sent in the wrong place. */
export function withoutTokens(text: string): string {
  return text.replace(TOKEN, 'ty_[hidden]').replace(SIGNATURE, '$1[hidden]');
}
